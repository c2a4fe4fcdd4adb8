/** PostgreSQL as the drivers' laws need it: fresh, its connections breakable, and one that can be stopped. */
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { databaseUrl, makeTemplate, TEMPLATE, temporaryPostgres } from "@switchboard/testkit/postgres-server";
import postgres from "postgres";

export interface PostgresEngine extends AsyncDisposable {
  /** As a role: "identity". */
  url(role: string): string;
  /** As superuser. */
  readonly adminUrl: string;
  /** Breaks every connection but its own. */
  cutConnections(): Promise<void>;
}

export interface StoppablePostgresEngine extends PostgresEngine {
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function openPostgresEngine(): Promise<PostgresEngine> {
  const database: TestDatabase = await testDatabase();
  return { ...database, url: (role) => database.url(role), cutConnections: () => cutConnections(database.adminUrl) };
}

/** A server of its own. */
export async function openStoppablePostgresEngine(): Promise<StoppablePostgresEngine> {
  const server = await temporaryPostgres();
  try {
    await makeTemplate(server.adminUrl);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  const adminUrl = databaseUrl(server.adminUrl, TEMPLATE);
  return {
    adminUrl,
    url(role) {
      const url = new URL(adminUrl);
      url.username = role;
      url.password = "test";
      return url.href;
    },
    cutConnections: () => cutConnections(adminUrl),
    stop: () => server.stop(),
    start: () => server.startAgain(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function cutConnections(adminUrl: string): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, onnotice: () => {} });
  try {
    await sql`
      select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
  } finally {
    await sql.end();
  }
}
