/** For the tests beside it: a served IdentityService and AuditService whose handlers the test writes, and its clients. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type ServiceImpl, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { FORWARDED, SERVICE_TOKEN } from "@switchboard/contract/headers";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { type TestTokens, testTokens } from "@switchboard/testkit/tokens";
import { pino } from "pino";
import type { CallRecord } from "../../audit/call-recorder.ts";
import { rpc } from "../../service.ts";
import { staticKeys } from "../../trust/key-source.ts";
import { createTokenVerifier } from "../../trust/token-verifier.ts";
import type { Authorizer } from "../authorizer.ts";
import { serviceInterceptors } from "../interceptors/service-interceptors.ts";
import type { ListenerLimits } from "../listener.ts";
import { resolvePolicies } from "../policies.ts";
import { type RpcServer, startServer } from "../server.ts";

export type Protocol = "connect over http/1.1" | "connect over h2c" | "grpc" | "grpc-web";
export const protocols: readonly Protocol[] = ["connect over http/1.1", "connect over h2c", "grpc", "grpc-web"];

export interface ServerUnderTest extends AsyncDisposable {
  readonly server: RpcServer;
  readonly url: string;
  readonly tokens: TestTokens;
  readonly records: CallRecord[];
  /** Parsed log lines. */
  readonly lines: Record<string, unknown>[];
  readonly revoked: Set<string>;
  client<S extends DescService>(service: S, protocol?: Protocol, headers?: Headers): Client<S>;
  /** The headers of a call that the gateway passes on for a user; undefined: for nobody. */
  fromOutside(userId?: string): Promise<Headers>;
  /** The headers of a service's own call. */
  fromService(name: string): Promise<Headers>;
}

export async function serverUnderTest(
  handlers: {
    readonly identity?: Partial<ServiceImpl<typeof IdentityService>>;
    readonly audit?: Partial<ServiceImpl<typeof AuditService>>;
    readonly auth?: Partial<ServiceImpl<typeof AuthService>>;
  } = {},
  options: {
    readonly authorizer?: Authorizer;
    readonly limits?: Partial<ListenerLimits>;
    readonly serving?: (service: string) => boolean;
    readonly tls?: { readonly cert: string; readonly key: string };
  } = {},
): Promise<ServerUnderTest> {
  const tokens = await testTokens();
  const records: CallRecord[] = [];
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const revoked = new Set<string>();
  const revocations = { isRevoked: (id: string) => revoked.has(id), stalenessMs: () => 0 };
  const verifier = createTokenVerifier({ keys: await staticKeys(tokens.keys), revocations, now: Date.now });
  const rpcs = [
    rpc(IdentityService, (handlers.identity ?? {}) as ServiceImpl<typeof IdentityService>),
    rpc(AuditService, (handlers.audit ?? {}) as ServiceImpl<typeof AuditService>),
    rpc(AuthService, (handlers.auth ?? {}) as ServiceImpl<typeof AuthService>),
  ];
  const policies = resolvePolicies(rpcs);
  const server = await startServer({
    rpcs,
    policies,
    interceptors: serviceInterceptors({
      policies,
      verifier,
      authorizer: options.authorizer ?? { check: async () => true },
      recordCall: (record) => void records.push(record),
      log,
    }),
    host: "127.0.0.1",
    port: 0,
    log,
    limits: options.limits ?? {},
    tls: options.tls,
    ...(options.serving && { serving: options.serving }),
  });
  const url = `${options.tls ? "https" : "http"}://${server.address}`;
  const sessions: Http2SessionManager[] = [];
  const transports = new Map<string, Transport>();
  const transport = (protocol: Protocol): Transport => {
    const known = transports.get(protocol) ?? makeTransport(protocol);
    transports.set(protocol, known);
    return known;
  };
  const makeTransport = (protocol: Protocol): Transport => {
    const nodeOptions = { rejectUnauthorized: false };
    if (protocol === "connect over http/1.1") {
      return createConnectTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions });
    }
    if (protocol === "grpc-web") return createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions });
    const sessionManager = new Http2SessionManager(url, undefined, nodeOptions);
    sessions.push(sessionManager);
    const make = protocol === "grpc" ? createGrpcTransport : createConnectTransport;
    return make({ baseUrl: url, httpVersion: "2", sessionManager });
  };
  return {
    server,
    url,
    tokens,
    records,
    lines,
    revoked,
    client(service, protocol = "connect over http/1.1", headers = new Headers()) {
      const inner = transport(protocol);
      const withHeaders = (own: HeadersInit | undefined) => {
        const all = new Headers(headers);
        new Headers(own).forEach((value, name) => {
          all.set(name, value);
        });
        return all;
      };
      return createClient(service, {
        unary: (method, signal, timeoutMs, header, message, values) =>
          inner.unary(method, signal, timeoutMs, withHeaders(header), message, values),
        stream: (method, signal, timeoutMs, header, messages, values) =>
          inner.stream(method, signal, timeoutMs, withHeaders(header), messages, values),
      });
    },
    async fromOutside(userId) {
      const headers = new Headers({ [SERVICE_TOKEN]: await tokens.serviceToken("gateway"), [FORWARDED]: "1" });
      if (userId) headers.set("authorization", `Bearer ${await tokens.accessToken(userId)}`);
      return headers;
    },
    fromService: async (name) => new Headers({ [SERVICE_TOKEN]: await tokens.serviceToken(name) }),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.abort();
      await server[Symbol.asyncDispose]();
    },
  };
}
