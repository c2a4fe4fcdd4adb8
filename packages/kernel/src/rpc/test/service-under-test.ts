/** For services' own tests: a whole service behind the real server, and clients, over the real channel, that are anybody. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { FORWARDED } from "@switchboard/contract/headers";
import { newId } from "@switchboard/contract/ids";
import { serviceNameOf } from "@switchboard/contract/service-name";
import { testTokens } from "@switchboard/testkit/tokens";
import type { Logger } from "pino";
import type { CallRecord } from "../../audit/call-recorder.ts";
import type { Service } from "../../service.ts";
import { staticKeys } from "../../trust/key-source.ts";
import { createTokenVerifier } from "../../trust/token-verifier.ts";
import type { Authorizer } from "../authorizer.ts";
import { openChannel } from "../channel.ts";
import { serviceInterceptors } from "../interceptors/service-interceptors.ts";
import { resolvePolicies } from "../policies.ts";
import { fakeRegistry } from "../registry.fake.ts";
import { startServer } from "../server.ts";

export interface ServiceUnderTest extends AsyncDisposable {
  /** A client that calls as `user:…`, passed on by the gateway, or as `service:…` for itself. */
  as<S extends DescService>(descriptor: S, subject: string): Client<S>;
  /** What the audit log would be told of beside the transactions. */
  readonly records: readonly CallRecord[];
  /** Ends as a stopping process does. */
  drain(): Promise<void>;
}

export async function serviceUnderTest(options: {
  readonly service: Service;
  readonly authorizer: Authorizer;
  readonly now: () => number;
  readonly log: Logger;
}): Promise<ServiceUnderTest> {
  const { service, authorizer, now, log } = options;
  const tokens = await testTokens();
  const records: CallRecord[] = [];
  const policies = resolvePolicies(service.rpcs);
  const verifier = createTokenVerifier({
    keys: await staticKeys(tokens.keys),
    revocations: { isRevoked: () => false, stalenessMs: () => 0 },
    now,
  });
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    await startServer({
      rpcs: service.rpcs,
      policies,
      interceptors: serviceInterceptors({
        policies,
        verifier,
        authorizer,
        recordCall: (record) => void records.push(record),
        log,
      }),
      host: "127.0.0.1",
      port: 0,
      log,
    }),
  );
  const registry = fakeRegistry({
    service: service.name,
    instanceId: newId(),
    address: server.address,
    version: "test",
    contractHash: "",
    rpcServices: service.rpcs.map(({ descriptor }) => descriptor.typeName),
    metadata: {},
    registerTime: 0,
  });
  const closing = stack.move();
  const channelAs = (name: string) =>
    closing.use(
      openChannel({
        service: service.name,
        registry,
        token: () => tokens.serviceToken(name, { now: now() }),
        log,
        now,
        random: Math.random,
      }),
    );
  const channels = new Map<string, Transport>();
  return {
    records,
    as(descriptor, subject) {
      if (serviceNameOf(descriptor.file.proto.package) !== service.name) {
        throw new TypeError(`${descriptor.typeName} is not served by ${service.name}`);
      }
      const [kind, id = ""] = subject.split(":");
      const peer = kind === "service" ? id : "gateway";
      const channel = channels.get(peer) ?? channelAs(peer);
      channels.set(peer, channel);
      if (kind === "service") return createClient(descriptor, channel);
      return createClient(
        descriptor,
        passedOnFor(channel, () => tokens.accessToken(id, { now: now() })),
      );
    },
    drain: () => server.drain(1_000),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Calls as the gateway makes them for a user. */
function passedOnFor(inner: Transport, accessToken: () => Promise<string>): Transport {
  const withUser = async (own: HeadersInit | undefined) => {
    const headers = new Headers(own);
    headers.set(FORWARDED, "1");
    headers.set("authorization", `Bearer ${await accessToken()}`);
    return headers;
  };
  return {
    unary: async (method, signal, timeoutMs, header, message, values) =>
      inner.unary(method, signal, timeoutMs, await withUser(header), message, values),
    stream: async (method, signal, timeoutMs, header, messages, values) =>
      inner.stream(method, signal, timeoutMs, await withUser(header), messages, values),
  };
}
