/** A database of its own for a test: provisioned, without any service's tables. */
import { randomBytes } from "node:crypto";
import postgres from "postgres";
import { databaseUrl, sharedPostgres, TEMPLATE } from "./postgres-server.ts";

export interface TestDatabase extends AsyncDisposable {
  /** As superuser: to look behind the scenes, and to tamper. */
  readonly adminUrl: string;
  /** As a role: "identity" runs, "identity_owner" migrates. */
  url(role: string): string;
}

/** Makes it; disposing ends its connections and drops it. */
export async function testDatabase(): Promise<TestDatabase> {
  const server = await sharedPostgres();
  const name = `test_${randomBytes(8).toString("hex")}`;
  await asAdmin(server, async (sql) => {
    // Copies of one template are made one at a time: each needs it without connections.
    await sql`select pg_advisory_lock(7117)`;
    await sql`create database ${sql(name)} template ${sql(TEMPLATE)} strategy file_copy`;
  });
  const adminUrl = databaseUrl(server, name);
  return {
    adminUrl,
    url(role) {
      const url = new URL(adminUrl);
      url.username = role;
      url.password = "test";
      return url.href;
    },
    [Symbol.asyncDispose]: () => asAdmin(server, (sql) => sql`drop database ${sql(name)} with (force)`),
  };
}

async function asAdmin(url: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}
