/** Identity, whole: the real server and client, the real database. Authz alone is played, by the contract's own rules. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Client } from "@connectrpc/connect";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { migrate } from "@switchboard/kernel/database/migrate";
import { openDatabase } from "@switchboard/kernel/database/open-database";
import { createWrites } from "@switchboard/kernel/database/stored-answers";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import { serviceUnderTest } from "@switchboard/kernel/rpc/test/service-under-test";
import { createLogger } from "@switchboard/kernel/telemetry/logger";
import { testDatabase } from "@switchboard/testkit/database";
import postgres from "postgres";
import { createIdentityService } from "../src/service.ts";

export interface IdentityUnderTest extends AsyncDisposable {
  readonly admin: Client<typeof IdentityService>;
  /** A client that calls as a subject: `user:…` or `service:…`. */
  as(subject: string): Client<typeof IdentityService>;
  readonly clock: { advance(ms: number): void };
  /** The types of the facts published about somebody, in their order. */
  factsOf(userId: string): Promise<string[]>;
  /** Puts many people into the table at once, three with each create_time. */
  insertPeople(count: number): Promise<void>;
  runJob(name: string): Promise<void>;
}

const ADMIN = "user:administrator";

export async function startIdentity(): Promise<IdentityUnderTest> {
  await using stack = new AsyncDisposableStack();
  const log = createLogger({ level: "silent", service: "identity", instanceId: "test" });
  const server = stack.use(await testDatabase());
  const folder = fileURLToPath(new URL("../migrations/", import.meta.url));
  await migrate({ url: server.url("identity_owner"), schema: "identity", folder, log });
  const database = stack.use(openDatabase({ url: server.url("identity"), schema: "identity", log }));
  const sql = postgres(server.adminUrl, { max: 1 });
  stack.defer(() => sql.end());

  let offsetMs = 0;
  const now = () => Date.now() + offsetMs;
  const unused = { client: () => assert.fail("Identity calls nobody"), state: Object.create(null) };
  const writes = createWrites({ database, secret: "a secret of Identity's for tests", now });
  const service = createIdentityService({ database, writes, authorizer, log, now, ...unused });
  const under = stack.use(await serviceUnderTest({ service, authorizer, now, log }));
  const closing = stack.move();
  return {
    admin: under.as(IdentityService, ADMIN),
    as: (subject) => under.as(IdentityService, subject),
    clock: {
      advance(ms) {
        offsetMs += ms;
      },
    },
    async factsOf(userId) {
      const rows = await sql`select type from identity.outbox where key = ${userId} order by position`;
      return rows.map((row) => row.type);
    },
    async insertPeople(count) {
      await sql`
        insert into identity.users
        select gen_random_uuid(), 'bulk' || n || '@example.com', 'bulk' || n || '@example.com', 'Bulk', 'ACTIVE',
               now() - (n / 3) * interval '1 ms', now(), null, 1
        from generate_series(1, ${count}) n`;
    },
    async runJob(name) {
      const job = service.jobs?.find((candidate) => candidate.name === name) ?? assert.fail(`no job ${name}`);
      await job.run(new AbortController().signal);
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** What identity_service.proto says of administrators, of Auth, and of oneself. */
const authorizer: Authorizer = {
  async check(subject, permission, object) {
    if (subject === ADMIN) return true;
    if (subject === "service:auth") return permission === "create_user" || permission === "view";
    return subject === object && (permission === "view" || permission === "update");
  },
};
