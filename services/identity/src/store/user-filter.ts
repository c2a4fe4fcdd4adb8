/** A list's filter as SQL. */
import { emailKey } from "@switchboard/contract/email";
import { type Comparison, type FilterFields, parseFilter } from "@switchboard/contract/filter";
import { UserStateSchema } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { conditionsOf } from "@switchboard/kernel/database/filter-conditions";
import type { SQL } from "drizzle-orm";
import { users } from "./users-table.ts";

const fields = {
  email: { type: "string" },
  display_name: { type: "string" },
  state: { type: "enum", values: UserStateSchema },
  create_time: { type: "timestamp" },
} as const satisfies FilterFields;

/** @throws AppError INVALID_FILTER */
export function userConditions(filter: string): SQL[] {
  const comparisons: readonly Comparison<keyof typeof fields>[] = parseFilter(filter, fields);
  return conditionsOf(comparisons, {
    email: { column: users.emailKey, text: emailKey },
    display_name: { column: users.displayName },
    state: { column: users.state, enumAs: "name" },
    create_time: { column: users.createTime },
  });
}
