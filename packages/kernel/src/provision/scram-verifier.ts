/**
 * What PostgreSQL keeps of a password (RFC 5802, RFC 7677), made here: the password itself never travels in a statement
 * and so never lands in a server's log.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

/** PostgreSQL's own default. */
const ITERATIONS = 4096;

/** The `rolpassword` of a printable-ASCII password: `SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>`. */
export function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const key = (name: string) => createHmac("sha256", salted).update(name).digest();
  const stored = createHash("sha256").update(key("Client Key")).digest("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${stored}:${key("Server Key").toString("base64")}`;
}
