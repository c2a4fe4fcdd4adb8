/** The table of people; made by migrations/0001-users.sql. */
import { bigint, pgSchema, text, timestamp, uuid } from "drizzle-orm/pg-core";

const time = { withTimezone: true, precision: 3, mode: "date" } as const;

export const users = pgSchema("identity").table("users", {
  userId: uuid("user_id").primaryKey(),
  email: text("email").notNull(),
  emailKey: text("email_key").notNull(),
  displayName: text("display_name").notNull(),
  state: text("state", { enum: ["ACTIVE", "DISABLED"] }).notNull(),
  createTime: timestamp("create_time", time).notNull(),
  updateTime: timestamp("update_time", time).notNull(),
  deleteTime: timestamp("delete_time", time),
  revision: bigint("revision", { mode: "number" }).notNull(),
});
