/** How far the making of the first administrator has come: one row, once for ever. */
import type { Queries } from "@switchboard/kernel/database/database";
import { firstAdministrator } from "./tables.ts";

export type FirstAdministrator = typeof firstAdministrator.$inferSelect;

export async function findFirstAdministrator(queries: Queries): Promise<FirstAdministrator | undefined> {
  const [row] = await queries.select().from(firstAdministrator);
  return row;
}

export async function insertFirstAdministrator(queries: Queries, userId: string): Promise<void> {
  await queries.insert(firstAdministrator).values({ userId }).onConflictDoNothing();
}

export async function markGranted(queries: Queries, now: Date): Promise<void> {
  await queries.update(firstAdministrator).set({ grantTime: now });
}
