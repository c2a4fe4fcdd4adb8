/** The tables; made by the files of migrations/, which say what each is for. */
import { bigint, boolean, customType, pgSchema, primaryKey, text, timestamp, uuid } from "drizzle-orm/pg-core";

const schema = pgSchema("auth");
const time = { withTimezone: true, mode: "date" } as const;
const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });

export const accounts = schema.table("account", {
  userId: uuid("user_id").primaryKey(),
  email: text("email").notNull(),
  emailKey: text("email_key").notNull(),
  displayName: text("display_name").notNull(),
  passwordHash: text("password_hash").notNull(),
  state: text("state", { enum: ["pending", "active"] }).notNull(),
  disabled: boolean("disabled").notNull().default(false),
  deleteTime: timestamp("delete_time", time),
  signUpRequestId: uuid("sign_up_request_id"),
  createTime: timestamp("create_time", time).notNull(),
});

export const sessions = schema.table("session", {
  sessionId: uuid("session_id").primaryKey(),
  userId: uuid("user_id").notNull(),
  createTime: timestamp("create_time", time).notNull(),
  lastUseTime: timestamp("last_use_time", time).notNull(),
  expireTime: timestamp("expire_time", time).notNull(),
  endTime: timestamp("end_time", time).notNull(),
  userAgent: text("user_agent").notNull(),
  address: text("address").notNull(),
});

export const refreshTokens = schema.table("refresh_token", {
  tokenHash: bytea("token_hash").primaryKey(),
  sessionId: uuid("session_id").notNull(),
  useTime: timestamp("use_time", time),
});

export const apiKeys = schema.table("api_key", {
  apiKeyId: uuid("api_key_id").primaryKey(),
  userId: uuid("user_id").notNull(),
  displayName: text("display_name").notNull(),
  secretHash: bytea("secret_hash").notNull(),
  secretPrefix: text("secret_prefix").notNull(),
  createTime: timestamp("create_time", time).notNull(),
  expireTime: timestamp("expire_time", time),
  lastUseTime: timestamp("last_use_time", time),
});

export const revocations = schema.table("revocation", {
  sequence: bigint("sequence", { mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
  credentialId: uuid("credential_id").notNull(),
  expireTime: timestamp("expire_time", time).notNull(),
});

export const failedTries = schema.table("failed_tries", {
  counter: text("counter").primaryKey(),
  emptyTime: timestamp("empty_time", time).notNull(),
});

export const knownNetworks = schema.table(
  "known_network",
  {
    userId: uuid("user_id").notNull(),
    network: text("network").notNull(),
    signInTime: timestamp("sign_in_time", time).notNull(),
  },
  (table) => [primaryKey({ columns: [table.userId, table.network] })],
);

export const signingKeys = schema.table("signing_key", {
  kid: text("kid").primaryKey(),
  publicX: text("public_x").notNull(),
  sealedPrivateKey: bytea("sealed_private_key").notNull(),
  createTime: timestamp("create_time", time).notNull(),
  activateTime: timestamp("activate_time", time).notNull(),
});

export const firstAdministrator = schema.table("first_administrator", {
  singleton: boolean("singleton").primaryKey().default(true),
  userId: uuid("user_id").notNull(),
  grantTime: timestamp("grant_time", time),
});
