/** Auth's own settings, beside the platform's. */
import { isEmail } from "@switchboard/contract/email";
import { integer, SettingsFault } from "@switchboard/kernel/config/read-settings";
import { z } from "zod";
import { KEY_LEAD_MS } from "./rules/key-schedule.ts";
import { PASSWORD_LEAST_MIN_LENGTH, passwordFault } from "./rules/password-rule.ts";

const DAY_MS = 24 * 60 * 60_000;

export const authSettings = {
  SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, "must have at least 32 bytes")
    .describe(
      "Seals the signing keys at rest and makes refresh tokens' successors. At least 32 bytes, the same for all instances.",
    ),
  SWITCHBOARD_AUTH_SERVICE_SECRETS: z
    .string()
    .transform(parseServiceSecrets)
    .describe(
      'Who gets service tokens: a JSON object of each service\'s name and the SHA-256 of its secret, in hex: {"identity":"9f86…"}.',
    ),
  SWITCHBOARD_AUTH_PASSWORD_MIN_LENGTH: integer({ min: PASSWORD_LEAST_MIN_LENGTH, max: 64 })
    .prefault("15")
    .describe("The fewest characters (code points) of a new password."),
  SWITCHBOARD_AUTH_SESSION_IDLE_MS: integer({ min: 60_000, max: 365 * DAY_MS })
    .prefault(String(30 * DAY_MS))
    .describe("A session ends when it was not refreshed for this long, in milliseconds. Default: 30 days."),
  SWITCHBOARD_AUTH_SESSION_MAX_MS: integer({ min: 60_000, max: 365 * DAY_MS })
    .prefault(String(90 * DAY_MS))
    .describe("A session ends this long after sign-in in any case, in milliseconds. Default: 90 days."),
  SWITCHBOARD_AUTH_REFRESH_GRACE_MS: integer({ min: 0, max: 60_000 })
    .prefault("10000")
    .describe(
      "How long a used refresh token gets the same answer again, in milliseconds. After it, its use ends the session.",
    ),
  SWITCHBOARD_AUTH_KEY_ROTATION_MS: integer({ min: 2 * KEY_LEAD_MS, max: 365 * DAY_MS })
    .prefault(String(30 * DAY_MS))
    .describe("How long a signing key signs before the next one does, in milliseconds. Default: 30 days."),
  SWITCHBOARD_AUTH_SIGN_INS_PER_ACCOUNT_AND_NETWORK: integer({ min: 5, max: 100_000 })
    .prefault("10")
    .describe(
      "How many wrong passwords for one e-mail may come from one network (an IPv4 address, a /48 of IPv6) in 15 minutes.",
    ),
  SWITCHBOARD_AUTH_SIGN_INS_PER_ACCOUNT: integer({ min: 5, max: 1_000_000 })
    .prefault("300")
    .describe(
      "After how many wrong passwords for one e-mail in 15 minutes, from networks that it never signed in from, each of those has only 3 left.",
    ),
  SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS: integer({ min: 5, max: 1_000_000 })
    .prefault("300")
    .describe("How many wrong passwords may come from one address (of IPv6, one /64) in 15 minutes."),
  SWITCHBOARD_ADMIN_EMAIL: z
    .string()
    .refine(isEmail, "must be an e-mail address")
    .optional()
    .describe("The first administrator's e-mail. Made once for ever; later changes of it do nothing."),
  SWITCHBOARD_ADMIN_PASSWORD: z.string().optional().describe("The first administrator's password."),
} as const;

export interface AuthConfig {
  readonly keyEncryptionSecret: string;
  /** Service's name → SHA-256 of its secret. */
  readonly serviceSecrets: ReadonlyMap<string, Uint8Array>;
  readonly passwordMinLength: number;
  readonly sessionIdleMs: number;
  readonly sessionMaxMs: number;
  readonly refreshGraceMs: number;
  readonly keyRotationMs: number;
  readonly signInsPerAccountAndNetwork: number;
  readonly signInsPerAccount: number;
  readonly signInsPerAddress: number;
  readonly administrator: { readonly email: string; readonly password: string } | undefined;
}

/** What the settings mean. @throws SettingsFault where only one of the administrator's is set, or its password is weak. */
export function authConfig(read: z.infer<z.ZodObject<typeof authSettings>>): AuthConfig {
  const { SWITCHBOARD_ADMIN_EMAIL: email, SWITCHBOARD_ADMIN_PASSWORD: password } = read;
  if ((email === undefined) !== (password === undefined)) {
    throw new SettingsFault("SWITCHBOARD_ADMIN_EMAIL and SWITCHBOARD_ADMIN_PASSWORD are needed both, or neither");
  }
  const passwordMinLength = read.SWITCHBOARD_AUTH_PASSWORD_MIN_LENGTH;
  const administrator = email !== undefined && password !== undefined ? { email, password } : undefined;
  const fault = administrator && passwordFault(administrator.password, administrator.email, passwordMinLength);
  if (fault !== undefined) throw new SettingsFault(`SWITCHBOARD_ADMIN_PASSWORD ${fault}`);
  return Object.freeze({
    keyEncryptionSecret: read.SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET,
    serviceSecrets: read.SWITCHBOARD_AUTH_SERVICE_SECRETS,
    passwordMinLength,
    sessionIdleMs: read.SWITCHBOARD_AUTH_SESSION_IDLE_MS,
    sessionMaxMs: read.SWITCHBOARD_AUTH_SESSION_MAX_MS,
    refreshGraceMs: read.SWITCHBOARD_AUTH_REFRESH_GRACE_MS,
    keyRotationMs: read.SWITCHBOARD_AUTH_KEY_ROTATION_MS,
    signInsPerAccountAndNetwork: read.SWITCHBOARD_AUTH_SIGN_INS_PER_ACCOUNT_AND_NETWORK,
    signInsPerAccount: read.SWITCHBOARD_AUTH_SIGN_INS_PER_ACCOUNT,
    signInsPerAddress: read.SWITCHBOARD_AUTH_SIGN_INS_PER_ADDRESS,
    administrator,
  });
}

const serviceSecretsShape = z.record(z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/), z.string().regex(/^[0-9a-f]{64}$/));

function parseServiceSecrets(text: string, context: z.RefinementCtx): ReadonlyMap<string, Uint8Array> {
  try {
    const hashes = serviceSecretsShape.parse(JSON.parse(text));
    return new Map(Object.entries(hashes).map(([service, hash]) => [service, Buffer.from(hash, "hex")]));
  } catch {
    context.addIssue(
      'must be a JSON object of services\' names and SHA-256 hashes in lower-case hex: {"identity":"9f86…"}',
    );
    return z.NEVER;
  }
}
