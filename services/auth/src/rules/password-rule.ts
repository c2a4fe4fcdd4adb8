/**
 * Which new passwords are taken (NIST SP 800-63B-4, section 3.1.1.2): long ones of any characters, without composition
 * rules, except those that everybody tries first. Offline: nothing leaves the process.
 */
import { COMMON_PASSWORDS } from "./common-passwords.ts";

/** The setting for the least length may not go below this. */
export const PASSWORD_LEAST_MIN_LENGTH = 8;
export const PASSWORD_MAX_LENGTH = 256;

/** A password that is a shorter text over and over is as weak as that text; longer units are a choice of the user's. */
const LONGEST_REPEATED_UNIT = 8;
const SERVICE_NAME = "switchboard";
const ROWS = [
  "qwertyuiopasdfghjklzxcvbnm",
  "qwertzuiopasdfghjklyxcvbnm",
  "azertyuiopqsdfghjklmwxcvbn",
  "1q2w3e4r5t6y7u8i9o0p",
];

/** The form that is counted, checked and hashed: typed on another system, it must be the same password (NFKC). */
export function normalizePassword(password: string): string {
  return password.normalize("NFKC");
}

/** What is wrong with a new password, as "must …"; undefined: nothing. */
export function passwordFault(password: string, email: string, minLength: number): string | undefined {
  const normalized = normalizePassword(password);
  const length = lengthOf(normalized);
  if (length < minLength) return `must have at least ${minLength} characters`;
  if (length > PASSWORD_MAX_LENGTH) return `must have at most ${PASSWORD_MAX_LENGTH} characters`;
  const folded = normalized.toLowerCase();
  if (COMMON_PASSWORDS.has(folded)) return "must not be one of the most common passwords";
  if (isRepetition(folded) || isSequence(folded)) {
    return "must not be a short text over and over, or characters in their order";
  }
  if (lengthOf(withoutContext(folded, email)) < minLength) {
    return `must have at least ${minLength} characters beside the e-mail address and this service's name`;
  }
  return undefined;
}

/** Code points: what a person counts, short of combined emoji. */
function lengthOf(text: string): number {
  return [...text].length;
}

function isRepetition(text: string): boolean {
  for (let unit = 1; unit <= LONGEST_REPEATED_UNIT && unit * 2 <= text.length; unit++) {
    if (text.slice(unit) === text.slice(0, -unit)) return true;
  }
  return false;
}

/** "abcdef", "987654", "1234567890123", "qwertyuiop": each character follows from the one before. */
function isSequence(text: string): boolean {
  const points = [...text].map((character) => character.codePointAt(0) ?? 0);
  for (const step of [1, -1]) {
    if (points.every((point, index) => index === 0 || follows(points[index - 1] ?? 0, point, step))) return true;
  }
  const reversed = [...text].reverse().join("");
  return ROWS.some((row) => `${row}${row}`.includes(text) || `${row}${row}`.includes(reversed));
}

function follows(before: number, after: number, step: number): boolean {
  const wraps = step === 1 ? before === 0x39 && after === 0x30 : before === 0x30 && after === 0x39;
  return after - before === step || wraps;
}

/** The password without the words that an attacker takes from the sign-in form itself. */
function withoutContext(folded: string, email: string): string {
  const address = normalizePassword(email).toLowerCase();
  const [name = ""] = address.split("@");
  return [address, name, SERVICE_NAME]
    .filter((word) => word.length >= 3)
    .reduce((rest, word) => rest.replaceAll(word, ""), folded);
}
