/** Notes, whole: the real server, the real bus and the real database. Only its neighbours are faked. */
import assert from "node:assert/strict";
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
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { consumeOnce } from "@switchboard/kernel/bus/inbox";
import { openPostgresBus } from "@switchboard/kernel/bus/postgres";
import { migrate } from "@switchboard/kernel/database/migrate";
import { openDatabase } from "@switchboard/kernel/database/open-database";
import { createWrites } from "@switchboard/kernel/database/stored-answers";
import { remoteAuthorizer } from "@switchboard/kernel/rpc/remote-authorizer";
import { serviceUnderTest } from "@switchboard/kernel/rpc/test/service-under-test";
import { createLogger } from "@switchboard/kernel/telemetry/logger";
import { testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { NotesService } from "../gen/notes/v1/notes_service_pb.ts";
import { createNotesService } from "../src/service.ts";
import { fakeNeighbours, type Neighbours } from "./neighbours.fake.ts";

export interface NotesUnderTest extends AsyncDisposable {
  /** A client that calls as `user:…`, passed on by the gateway, or as `service:…` for itself. */
  as(subject: string): Client<typeof NotesService>;
  readonly neighbours: Neighbours;
  /** The published facts of one type, oldest first. */
  facts<Desc extends DescMessage>(schema: Desc): Promise<MessageShape<Desc>[]>;
  /** Publishes as Identity and waits until Notes has handled it all. */
  hear(...events: readonly EventEnvelope[]): Promise<void>;
}

export async function startNotes(): Promise<NotesUnderTest> {
  await using stack = new AsyncDisposableStack();
  const log = createLogger({ level: "silent", service: "notes", instanceId: "test" });
  const server = stack.use(await testDatabase());
  const folder = fileURLToPath(new URL("../migrations/", import.meta.url));
  await migrate({ url: server.url("notes_owner"), schema: "notes", folder, log });
  const database = stack.use(openDatabase({ url: server.url("notes"), schema: "notes", log }));
  const bus = stack.use(openPostgresBus({ url: server.url("notes"), service: "notes", log }));
  const identityBus = stack.use(openPostgresBus({ url: server.url("identity"), service: "identity", log }));

  const neighbours = fakeNeighbours();
  const { client } = neighbours;
  const authorizer = remoteAuthorizer(client(AuthzService));
  const writes = createWrites({ database, secret: "a secret of the notes' for tests", now: Date.now });
  const state = Object.create(null);
  const service = createNotesService({ database, writes, state, authorizer, client, log, now: Date.now });
  const consumers = service.consumers ?? [];
  const subscription = await consumeOnce({ database, bus, group: "notes", consumers, log });
  stack.defer(() => subscription.end());
  const under = stack.use(await serviceUnderTest({ service, authorizer, now: Date.now, log }));
  const closing = stack.move();
  return {
    as: (subject) => under.as(NotesService, subject),
    neighbours,
    async facts(schema) {
      const rows = await database.sql<{ data: Uint8Array }[]>`
        select data from outbox where type = ${schema.typeName} order by position`;
      return rows.map(({ data }) => fromBinary(schema, data));
    },
    async hear(...events) {
      await identityBus.publish(events);
      await eventually(async () => assert.equal(await bus.lag("notes"), 0));
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** A fact as it travels. */
export function fact<Desc extends DescMessage>(
  schema: Desc,
  value: MessageInitShape<Desc>,
  key: string,
): EventEnvelope {
  const data = toBinary(schema, create(schema, value));
  const time = new Date().toISOString();
  return {
    id: newId(),
    source: "identity",
    type: schema.typeName,
    key,
    time,
    actor: `user:${key}`,
    traceparent: "",
    data,
  };
}
