/** For `node --test --test-global-setup`: one PostgreSQL for all test files; its address reaches them in their environment. */
import { makeTemplate, temporaryPostgres } from "./postgres-server.ts";

let server: Awaited<ReturnType<typeof temporaryPostgres>> | undefined;

export async function globalSetup(): Promise<void> {
  server = await temporaryPostgres();
  await makeTemplate(server.adminUrl);
  process.env.SWITCHBOARD_TEST_DATABASE_URL = server.adminUrl;
}

export async function globalTeardown(): Promise<void> {
  await server?.[Symbol.asyncDispose]();
}
