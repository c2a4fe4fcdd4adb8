/**
 * Authz, whole: the real server and client, the real database, made in the order in which run-service.ts does it. Other
 * services are played by servers that give their contract and nothing else; the registry is a list in memory.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { AuthzService, type Relationship } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import type { Database } from "@switchboard/kernel/database/database";
import { migrate } from "@switchboard/kernel/database/migrate";
import { openDatabase } from "@switchboard/kernel/database/open-database";
import { createWrites } from "@switchboard/kernel/database/stored-answers";
import type { Registry } from "@switchboard/kernel/registry/registry";
import { type FakeRegistry, fakeRegistry } from "@switchboard/kernel/rpc/registry.fake";
import { fetchContract } from "@switchboard/kernel/rpc/remote-contract";
import { type ServiceUnderTest, serviceUnderTest } from "@switchboard/kernel/rpc/test/service-under-test";
import { createLogger } from "@switchboard/kernel/telemetry/logger";
import { testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import postgres, { type Sql } from "postgres";
import { createAuthzService } from "../src/service.ts";
import { type Neighbour, type ObjectType, startNeighbour } from "./neighbour.fake.ts";

export const ADMIN = "user:administrator";

export type Authz = Client<typeof AuthzService>;

export interface Instance extends AsyncDisposable {
  /** A client that calls as a subject: `user:…` or `service:…`. */
  as(subject: string): Authz;
  /** Calls that the audit log would be told of outside of a transaction. */
  readonly records: ServiceUnderTest["records"];
  /** What readiness says. */
  problems(): readonly string[];
  /** Gives a fact of Identity's to its consumer. */
  deliver<Desc extends DescMessage>(schema: Desc, fact: MessageInitShape<Desc>): Promise<void>;
}

export interface AuthzUnderTest extends Instance {
  readonly admin: Authz;
  readonly registry: FakeRegistry;
  readonly clock: { advance(ms: number): void };
  /** Everything that was logged so far. */
  log(): string;
  /** As superuser. */
  readonly sql: Sql;
  /** @param registry another one than all others have */
  another(registry?: Registry): Promise<Instance>;
  /** One that takes calls and facts, and has not begun to learn. */
  unstarted(): Promise<Instance & { start(): Promise<void> }>;
  /** Facts in the outbox, of one type, oldest first. */
  facts<Desc extends DescMessage>(schema: Desc): Promise<MessageShape<Desc>[]>;
  /** A service comes up with a contract that declares the types, and registers beside those that are there. */
  neighbour(service: string, types: readonly ObjectType[]): Promise<Neighbour>;
  /** Until every registered contract has been read. */
  settled(): Promise<void>;
}

/** With an administrator; and with the service `notes`, where it declares something. */
export async function startAuthz(notes: readonly ObjectType[] = []): Promise<AuthzUnderTest> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await testDatabase());
  const lines: string[] = [];
  const sink = new Writable({
    write(line, _encoding, done) {
      lines.push(String(line));
      done();
    },
  });
  const log = createLogger({ level: "trace", service: "authz", instanceId: "test" }, sink);
  const sql = postgres(server.adminUrl, { max: 1, onnotice: () => {} });
  stack.defer(() => sql.end());
  const registry = stack.use(fakeRegistry());
  let offsetMs = 0;
  const now = () => Date.now() + offsetMs;
  const shared = { url: server.url("authz"), ownerUrl: server.url("authz_owner"), registry, log, now };
  const first = stack.use(await startInstance(shared));
  await first.as("service:auth").grantRole({ subject: ADMIN, role: "admin", object: "platform:switchboard" });
  const closing = stack.move();
  const settled = () => eventually(() => assert.deepEqual(first.problems(), []));
  const neighbour = async (service: string, types: readonly ObjectType[]) => {
    const started = closing.use(await startNeighbour(service, types));
    await registry.register(started.instance);
    return started;
  };
  if (notes.length > 0) {
    await neighbour("notes", notes);
    await settled();
  }
  return {
    ...first,
    admin: first.as(ADMIN),
    registry,
    clock: {
      advance(ms) {
        offsetMs += ms;
      },
    },
    log: () => lines.join(""),
    sql,
    another: async (other = registry) => closing.use(await startInstance({ ...shared, registry: other })),
    unstarted: async () => closing.use(await makeInstance(shared)),
    async facts(schema) {
      const rows = await sql<{ data: Uint8Array }[]>`
        select data from authz.outbox where type = ${schema.typeName} order by position`;
      return rows.map((row) => fromBinary(schema, row.data));
    },
    neighbour,
    settled,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

interface Shared {
  readonly url: string;
  readonly ownerUrl: string;
  readonly registry: Registry;
  readonly log: ReturnType<typeof createLogger>;
  readonly now: () => number;
}

async function startInstance(shared: Shared): Promise<Instance> {
  const instance = await makeInstance(shared);
  await instance.start();
  return instance;
}

async function makeInstance({ url, ownerUrl, registry, log, now }: Shared) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(openDatabase({ url, schema: "authz", log }));
  const writes = createWrites({ database, secret: "a secret of Authz's for tests", now });
  const unused = {
    client: () => assert.fail("Authz calls nobody"),
    authorizer: { check: () => assert.fail("Authz asks itself") },
    state: Object.create(null),
    bus: Object.create(null),
  };
  const service = createAuthzService({
    database,
    writes,
    registry,
    contractOf: (instance) => fetchContract(instance, { log, now }),
    log,
    now,
    ...unused,
  });
  const folder = fileURLToPath(new URL("../migrations/", import.meta.url));
  await migrate({ url: ownerUrl, schema: "authz", folder, log });
  const { authorizer } = service;
  const under = stack.use(await serviceUnderTest({ service, authorizer, now, log }));
  const closing = stack.move();
  const instance: Instance & { start(): Promise<void> } = {
    async start() {
      const running = await service.start?.();
      if (running) closing.use(running);
    },
    as: (subject) => under.as(AuthzService, subject),
    records: under.records,
    problems: () => service.problems?.() ?? [],
    async deliver(schema, fact) {
      const consumer = service.consumers?.find(({ topic, type }) => topic === "identity" && type === schema.typeName);
      assert.ok(consumer, `nobody consumes ${schema.typeName}`);
      const data = toBinary(schema, create(schema, fact));
      await deliver(database, consumer, { type: schema.typeName, data });
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
  return instance;
}

type Consumer = NonNullable<ReturnType<typeof createAuthzService>["consumers"]>[number];

async function deliver(database: Database, consumer: Consumer, fact: { type: string; data: Uint8Array }) {
  const actor = ADMIN;
  const time = new Date().toISOString();
  const envelope = { id: randomUUID(), source: "identity", key: "", time, actor, traceparent: "", ...fact };
  await database.transaction({ actor, trace: undefined }, (tx) => consumer.handle(envelope, tx));
}

/** "note:n#owner@user:ada" as a message. */
export function rel(text: string): Pick<Relationship, "object" | "relation" | "subject"> {
  const [, object, relation, subject] = /^([^#]+)#([^@]*)@(.+)$/.exec(text) ?? [];
  return { object: object ?? assert.fail(text), relation: relation ?? "", subject: subject ?? "" };
}

/** The same back. */
export function textOf({ object, relation, subject }: ReturnType<typeof rel>): string {
  return `${object}#${relation}@${subject}`;
}
