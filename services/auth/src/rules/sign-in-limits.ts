/**
 * How many wrong passwords may come, and what they are counted by: the account and the network they come from, the account
 * wherever they come from, and the address whatever the account. Counts leak away evenly over a window; all are pure here.
 */
import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import { emailKey } from "@switchboard/contract/email";

export const SIGN_IN_WINDOW_MS = 15 * 60_000;
/** What a network that an account never signed in from has left while that account is being guessed at from many. */
export const FEW = 3;

/** Wrong passwords a window. */
export interface SignInLimits {
  readonly signInsPerAccountAndNetwork: number;
  readonly signInsPerAccount: number;
  readonly signInsPerAddress: number;
}

/** A count of wrong passwords. */
export interface Tally {
  /** Names no e-mail and no address. */
  readonly counter: string;
  readonly limit: number;
}

/** What one try is counted by. */
export interface Tallies {
  /** Of the account, from where it comes. */
  readonly source: Tally;
  /** Of the account, from all networks that it never signed in from. */
  readonly account?: Tally;
  readonly address?: Tally;
}

/** The same for e-mails with and without an account. Without an address the call began inside. */
export function talliesOf(email: string, address: string, limits: SignInLimits): Tallies {
  const who = emailKey(email);
  const tallies = {
    source: tally("source", `${who} ${networkOf(address)}`, limits.signInsPerAccountAndNetwork),
    account: tally("account", who, limits.signInsPerAccount),
  };
  if (address === "") return tallies;
  return { ...tallies, address: tally("address", prefixOf(address, 4), limits.signInsPerAddress) };
}

/** Of a try that somebody who is signed in makes: nobody else counts. */
export function talliesOfSession(sessionId: string, limits: SignInLimits): Tallies {
  return { source: tally("session", sessionId, limits.signInsPerAccountAndNetwork) };
}

/**
 * Milliseconds to wait before a password may be tried; 0: none.
 * `emptyTimes` says when each counter is empty, in Unix milliseconds; `known`: the account has signed in from there before.
 */
export function waitBeforeTry(
  { source, account, address }: Tallies,
  emptyTimes: ReadonlyMap<string, number>,
  known: boolean,
  now: number,
): number {
  const wait = ({ counter, limit }: Tally, allowed = limit) =>
    Math.max(0, (emptyTimes.get(counter) ?? 0) - now - (allowed - 1) * shareOf(limit));
  if (known) return wait(source);
  const guessedAt = account !== undefined && wait(account) > 0;
  return Math.max(wait(source, guessedAt ? FEW : source.limit), address ? wait(address) : 0);
}

/** What one wrong password moves a counter on by, in milliseconds. */
export function shareOf(limit: number): number {
  return SIGN_IN_WINDOW_MS / limit;
}

/** Where somebody is recognized: an IPv4 address; of IPv6 the 48 bits that one site has at most (RFC 6177). */
export function networkOf(address: string): string {
  return prefixOf(address, 3);
}

function tally(kind: string, what: string, limit: number): Tally {
  return { counter: createHash("sha256").update(`${kind} ${what}`).digest("base64url"), limit };
}

/** The first groups of 16 bits of an IPv6 address; an IPv4 address as it is. */
function prefixOf(address: string, length: number): string {
  if (!isIPv6(address)) return address;
  const [mapped] = /(?<=^::ffff:)\d+\.\d+\.\d+\.\d+$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.toLowerCase().split("%")[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill("0"), ...(tail?.split(":") ?? [])];
  const prefix = all.slice(0, length).map((group) => Number.parseInt(group || "0", 16).toString(16));
  return `${prefix.join(":")}::/${16 * length}`;
}
