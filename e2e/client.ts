/** Clients of a platform for these tests: any service, over any protocol, with or without a token. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { ADMIN } from "@switchboard/testkit/platform";

export const PROTOCOLS = ["connect", "grpc", "grpc-web"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export function clientOf<Desc extends DescService>(
  service: Desc,
  url: string,
  options: { token?: string; protocol?: Protocol; headers?: Record<string, string> } = {},
): Client<Desc> {
  const { token, protocol = "connect", headers = {} } = options;
  const withHeaders: Interceptor = (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
  const common = { baseUrl: url, interceptors: [withHeaders] };
  const transport =
    protocol === "grpc"
      ? createGrpcTransport(common)
      : protocol === "grpc-web"
        ? createGrpcWebTransport({ ...common, httpVersion: "1.1" })
        : createConnectTransport({ ...common, httpVersion: "1.1" });
  return createClient(service, transport);
}

/** A new person with the tokens of a first session. */
export async function signUp(url: string, name: string) {
  const email = `${name.toLowerCase()}-${crypto.randomUUID()}@example.com`;
  const password = `the password of ${name} is long`;
  const { userId, tokens } = await clientOf(AuthService, url).signUp({ email, password, displayName: name });
  return { userId, email, password, token: tokens?.accessToken ?? "", refreshToken: tokens?.refreshToken ?? "" };
}

export async function adminToken(url: string): Promise<string> {
  const { tokens } = await clientOf(AuthService, url).signIn(ADMIN);
  return tokens?.accessToken ?? "";
}

/** The code and the reason of a failed call: "permission_denied PERMISSION_DENIED"; "ok" for one that did not fail. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    const failure = ConnectError.from(error);
    const code = /^\[(\w+)\]/.exec(failure.message)?.[1] ?? failure.message;
    return `${code} ${failure.findDetails(ErrorInfoSchema)[0]?.reason ?? "without a reason"}`;
  }
}
