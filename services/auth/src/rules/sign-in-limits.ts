/** What password tries are counted by. */
import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import { emailKey } from "@switchboard/contract/email";

/** Tries are counted in windows of 15 minutes. */
export const SIGN_IN_WINDOW_MS = 15 * 60_000;

/** The counter of an e-mail, whether it has an account or not. Hashed: shared state keeps no e-mails. */
export function accountCounter(email: string): string {
  return `sign-in/account/${createHash("sha256").update(emailKey(email)).digest("base64url")}`;
}

/** The counter of a caller's address; undefined where the call began inside. One /64 of IPv6 is one customer. */
export function addressCounter(address: string): string | undefined {
  if (address === "") return undefined;
  return `sign-in/address/${isIPv6(address) ? network64(address) : address}`;
}

function network64(address: string): string {
  const [mapped] = /(?<=^::ffff:)\d+\.\d+\.\d+\.\d+$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.toLowerCase().split("%")[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill("0"), ...(tail?.split(":") ?? [])];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group || "0", 16).toString(16))
    .join(":")}::/64`;
}
