/** Auth, whole: over the network, on a real PostgreSQL, as one or more instances, with fakes for Identity and Authz and a clock to turn. */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
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
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { CLIENT_ADDRESS, FORWARDED, SERVICE_TOKEN } from "@switchboard/contract/headers";
import { AuthService, type Tokens } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { readSettings } from "@switchboard/kernel/config/read-settings";
import type { Database } from "@switchboard/kernel/database/database";
import { migrate } from "@switchboard/kernel/database/migrate";
import { openDatabase } from "@switchboard/kernel/database/open-database";
import { createWrites } from "@switchboard/kernel/database/stored-answers";
import { serviceInterceptors } from "@switchboard/kernel/rpc/interceptors/service-interceptors";
import { resolvePolicies } from "@switchboard/kernel/rpc/policies";
import { startServer } from "@switchboard/kernel/rpc/server";
import { openKeySource } from "@switchboard/kernel/trust/key-source";
import { openRevocations } from "@switchboard/kernel/trust/revocations";
import { createTokenVerifier } from "@switchboard/kernel/trust/token-verifier";
import { testDatabase } from "@switchboard/testkit/database";
import { type Logger, pino } from "pino";
import postgres, { type Sql } from "postgres";
import { authConfig, authSettings } from "../src/config.ts";
import { createAuthService } from "../src/service.ts";
import { fakeNeighbours, type Neighbours } from "./neighbours.fake.ts";
import { type FakeState, fakeState } from "./state.fake.ts";

export const GOOD_PASSWORD = "the engine weaves algebra";
export const SECRETS = { gateway: "the gateway's secret", identity: "identity's secret" } as const;

export type Auth = Client<typeof AuthService>;

export interface Caller {
  readonly accessToken?: string | undefined;
  /** Default: a documentation address. */
  readonly address?: string;
}

export interface Instance extends AsyncDisposable {
  /** What the gateway passes on from outside. */
  as(caller?: Caller): Auth;
  /** Another service's own calls; undefined: without a service token. */
  inside(service: keyof typeof SECRETS | undefined): Auth;
  runJob(name: string): Promise<void>;
  /** Gives a fact of Identity's to its consumer. */
  deliver<Desc extends DescMessage>(schema: Desc, fact: MessageInitShape<Desc>): Promise<void>;
  problems(): readonly string[];
  readonly database: Database;
}

export interface AuthUnderTest extends Instance {
  readonly clock: { advance(ms: number): void; now(): number };
  readonly neighbours: Neighbours;
  readonly state: FakeState;
  /** Everything that was logged so far. */
  log(): string;
  /** As superuser. */
  readonly sql: Sql;
  another(): Promise<Instance>;
  /** Facts in the outbox, of one type, oldest first. */
  facts<Desc extends DescMessage>(schema: Desc, key?: string): Promise<MessageShape<Desc>[]>;
}

export async function startAuth(environment: Readonly<Record<string, string>> = {}): Promise<AuthUnderTest> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const lines: string[] = [];
  const sink = new Writable({
    write(line, _encoding, done) {
      lines.push(String(line));
      done();
    },
  });
  const log = pino({ level: "trace" }, sink);
  await migrate({
    url: database.url("auth_owner"),
    schema: "auth",
    folder: fileURLToPath(new URL("../migrations/", import.meta.url)),
    log,
  });
  const sql = postgres(database.adminUrl, { max: 1, onnotice: () => {} });
  stack.defer(() => sql.end());
  let time = Date.now();
  const now = () => time;
  const neighbours = fakeNeighbours();
  const state = fakeState(now);
  const shared = { url: database.url("auth"), environment, neighbours, state, now, log };
  const first = stack.use(await startInstance(shared));
  const held = stack.move();
  return {
    ...first,
    clock: {
      now,
      advance(ms) {
        time += ms;
      },
    },
    neighbours,
    state,
    log: () => lines.join(""),
    sql,
    async another() {
      const instance = await startInstance(shared);
      held.use(instance);
      return instance;
    },
    async facts(schema, key) {
      const rows = await sql<{ data: Uint8Array; key: string }[]>`
        select data, key from auth.outbox where type = ${schema.typeName} order by position`;
      return rows.filter((row) => key === undefined || row.key === key).map((row) => fromBinary(schema, row.data));
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

interface Shared {
  readonly url: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly neighbours: Neighbours;
  readonly state: FakeState;
  readonly now: () => number;
  readonly log: Logger;
}

async function startInstance({ url, environment, neighbours, state, now, log }: Shared): Promise<Instance> {
  await using stack = new AsyncDisposableStack();
  const hashes = Object.entries(SECRETS).map(([service, secret]) => [
    service,
    createHash("sha256").update(secret).digest("hex"),
  ]);
  const config = authConfig(
    readSettings(authSettings, {
      SWITCHBOARD_AUTH_KEY_ENCRYPTION_SECRET: "a secret that only this test knows",
      SWITCHBOARD_AUTH_SERVICE_SECRETS: JSON.stringify(Object.fromEntries(hashes)),
      ...environment,
    }),
  );
  const database = stack.use(openDatabase({ url, schema: "auth", log }));
  const authorizer = { check: () => Promise.resolve(false) };
  const writes = createWrites({ database, secret: "a secret of Auth's for tests", now });
  const client = neighbours.client;
  const service = createAuthService({ database, writes, state, log, authorizer, client, now }, config);
  const { rpcs, trust } = service;
  const keys = stack.use(openKeySource({ fetch: trust.fetchKeys, now, log, cooldownMs: 0 }));
  const revocations = stack.use(openRevocations({ list: trust.listRevocations, now, log }));
  const policies = resolvePolicies(rpcs);
  const verifier = createTokenVerifier({ keys, revocations, now });
  const recordCall = () => {};
  const interceptors = serviceInterceptors({ policies, verifier, authorizer, recordCall, log });
  await revocations.ready;
  const server = stack.use(await startServer({ rpcs, policies, interceptors, host: "127.0.0.1", port: 0, log }));
  const baseUrl = `http://${server.address}`;

  const tokens = new Map<string, { token: string; untilMs: number }>();
  const tokenOf = async (name: keyof typeof SECRETS) => {
    const known = tokens.get(name);
    if (known && known.untilMs > now()) return known.token;
    const { serviceToken } = await clientOf([]).issueServiceToken({ service: name, secret: SECRETS[name] });
    tokens.set(name, { token: serviceToken, untilMs: now() + 15 * 60_000 });
    return serviceToken;
  };
  const clientOf = (interceptors: Interceptor[]): Auth =>
    createClient(AuthService, createGrpcTransport({ baseUrl, interceptors }));
  const inside = (name: keyof typeof SECRETS | undefined, headers: Readonly<Record<string, string>> = {}) =>
    clientOf([
      (next) => async (request) => {
        if (name) request.header.set(SERVICE_TOKEN, await tokenOf(name));
        for (const [header, value] of Object.entries(headers)) request.header.set(header, value);
        return next(request);
      },
    ]);
  const held = stack.move();
  return {
    as: ({ accessToken, address = "192.0.2.1" } = {}) =>
      inside("gateway", {
        [CLIENT_ADDRESS]: address,
        [FORWARDED]: "1",
        ...(accessToken && { authorization: `Bearer ${accessToken}` }),
      }),
    inside,
    async runJob(name) {
      const job = service.jobs?.find((candidate) => candidate.name === name);
      assert.ok(job, `there is no job ${name}`);
      await job.run(new AbortController().signal);
    },
    async deliver(schema, fact) {
      const consumer = service.consumers?.find(({ topic, type }) => topic === "identity" && type === schema.typeName);
      assert.ok(consumer, `nobody consumes ${schema.typeName}`);
      const envelope = {
        id: randomUUID(),
        source: "identity",
        type: schema.typeName,
        key: "",
        time: new Date(now()).toISOString(),
        actor: "user:admin",
        traceparent: "",
        data: toBinary(schema, create(schema, fact)),
      };
      const origin = { actor: envelope.actor, trace: undefined };
      await database.transaction(origin, (tx) => consumer.handle(envelope, tx));
    },
    problems: () => service.problems?.() ?? [],
    database,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Signs somebody up. */
export async function newPerson(auth: Instance, email = `${randomUUID()}@example.com`) {
  const answer = await auth.as().signUp({ email, password: GOOD_PASSWORD, displayName: "Ada" });
  const tokens: Tokens = answer.tokens ?? assert.fail("no tokens came");
  return { email, userId: answer.userId, tokens, self: auth.as(tokens) };
}
