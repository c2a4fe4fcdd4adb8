/** Audit, whole: the real server and client, the real database and bus. Other services are played by what they publish. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Client } from "@connectrpc/connect";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { AuditService, type Event } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import type { Bus } from "@switchboard/kernel/bus/bus";
import { openPostgresBus } from "@switchboard/kernel/bus/postgres";
import { migrate } from "@switchboard/kernel/database/migrate";
import { openDatabase } from "@switchboard/kernel/database/open-database";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import { type ServiceUnderTest, serviceUnderTest } from "@switchboard/kernel/rpc/test/service-under-test";
import { createLogger } from "@switchboard/kernel/telemetry/logger";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import postgres from "postgres";
import { createAuditService } from "../src/service.ts";

export interface AuditUnderTest extends AsyncDisposable {
  readonly admin: Client<typeof AuditService>;
  /** A client that calls as a subject: `user:…`. */
  as(subject: string): Client<typeof AuditService>;
  /** Publishes events as a service does. */
  publish(source: string, events: readonly EventEnvelope[]): Promise<void>;
  /** The same; resolves when they are in the log. */
  log(source: string, events: readonly EventEnvelope[]): Promise<void>;
  /** The entries with an event id. */
  eventsOf(eventId: string): Promise<Event[]>;
  /** Starts one more instance on the same database. */
  secondInstance(): Promise<AsyncDisposable>;
  /** Runs statements as somebody whom no grant or trigger stops; disposing puts the log back as it was. */
  tamper(statements: string): Promise<AsyncDisposable>;
  /** The sizes that a head was kept for: where the batches ended. */
  headSizes(): Promise<readonly number[]>;
  runAs(role: string, statement: string): Promise<void>;
  /** Cuts every connection that hears of new entries. */
  cutListeners(): Promise<void>;
  /** Ends as a stopping process does. */
  drain(): Promise<void>;
}

const ADMIN = "user:administrator";
const logger = createLogger({ level: "silent", service: "audit", instanceId: "test" });

export async function startAudit(): Promise<AuditUnderTest> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await testDatabase());
  const folder = fileURLToPath(new URL("../migrations/", import.meta.url));
  await migrate({ url: server.url("audit_owner"), schema: "audit", folder, log: logger });
  const sql = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
  stack.defer(() => sql.end());
  const buses = new Map<string, Bus>();
  const busOf = async (service: string): Promise<Bus> => {
    const bus = buses.get(service) ?? stack.use(await openBus(server, service));
    buses.set(service, bus);
    return bus;
  };
  for (const service of ["identity", "auth", "authz", "gateway", "notes"]) await busOf(service);
  const instance = stack.use(await startInstance(server));
  const closing = stack.move();

  const publish = async (source: string, events: readonly EventEnvelope[]) => {
    await (await busOf(source)).publish(events.map((event) => ({ ...event, source })));
  };
  const logged = async (events: readonly EventEnvelope[]) => {
    const ids = events.map((event) => event.id);
    const [row] = await sql`select count(*)::int as count from audit.entries where event_id = any(${ids}::uuid[])`;
    return row?.count;
  };
  const asSuperuser = (statements: string) =>
    sql.unsafe(`set session_replication_role = replica; ${statements}; reset session_replication_role`);
  const admin = instance.as(AuditService, ADMIN);
  return {
    admin,
    as: (subject) => instance.as(AuditService, subject),
    publish,
    async log(source, events) {
      await publish(source, events);
      await eventually(async () => assert.equal(await logged(events), events.length), { withinMs: 10_000 });
    },
    async eventsOf(eventId) {
      const rows = await sql`select sequence from audit.entries where event_id = ${eventId}`;
      const found = rows.map(({ sequence }) => admin.listEvents({ filter: `sequence = ${sequence}` }));
      return (await Promise.all(found)).flatMap(({ events }) => events);
    },
    secondInstance: () => startInstance(server),
    async tamper(statements) {
      await asSuperuser(
        "create table kept_entries as table audit.entries; create table kept_heads as table audit.heads",
      );
      await asSuperuser(statements);
      return {
        async [Symbol.asyncDispose]() {
          await asSuperuser("delete from audit.entries; insert into audit.entries table kept_entries");
          await asSuperuser("delete from audit.heads; insert into audit.heads table kept_heads");
          await asSuperuser("drop table kept_entries, kept_heads");
        },
      };
    },
    async headSizes() {
      const rows = await sql<{ size: string }[]>`select size from audit.heads order by size`;
      return rows.map(({ size }) => Number(size));
    },
    async runAs(role, statement) {
      const own = postgres(server.url(role), { max: 1, onnotice: () => {} });
      try {
        await own.unsafe(statement);
      } finally {
        await own.end();
      }
    },
    async cutListeners() {
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and usename = 'audit' and query ilike 'listen%audit%'`;
    },
    drain: () => instance.drain(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

async function openBus(server: TestDatabase, service: string): Promise<Bus> {
  return openPostgresBus({ url: server.url(service), service, log: logger });
}

async function startInstance(server: TestDatabase): Promise<ServiceUnderTest> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(openDatabase({ url: server.url("audit"), schema: "audit", log: logger }));
  const bus = stack.use(await openBus(server, "audit"));
  const unused = {
    client: () => assert.fail("Audit calls nobody"),
    contractOf: () => assert.fail("Audit reads no contracts"),
    state: Object.create(null),
    registry: Object.create(null),
    writes: Object.create(null),
  };
  const now = Date.now;
  const service = createAuditService({ database, bus, authorizer, log: logger, now, ...unused });
  const running = await service.start?.();
  if (running) stack.use(running);
  const under = stack.use(await serviceUnderTest({ service, authorizer, now, log: logger }));
  const closing = stack.move();
  return { ...under, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

const authorizer: Authorizer = { check: async (subject) => subject === ADMIN };
