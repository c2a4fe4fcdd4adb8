/** Answers to requests that reach no method, in the caller's own protocol. */
import { ConnectError, createConnectRouter } from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandlerFn,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { AppError } from "@switchboard/contract/app-error";
import { Health } from "@switchboard/gen/health/v1/health_pb";
import { fromAppError } from "./errors.ts";

/**
 * Makes the answer for a path that nothing is served at.
 * @param bare without the reason.
 */
export function createUnknownCalls(
  bare = false,
): (call: UniversalServerRequest, path: string) => Promise<UniversalServerResponse> {
  const unknownMethod = (path: string): ConnectError => {
    const error = new AppError("UNKNOWN_METHOD", `no method can be called at ${path.slice(0, 200)}`);
    return bare ? new ConnectError(error.message, error.code) : fromAppError(error);
  };
  const router = createConnectRouter({
    // The gate runs before anything is read, so that any method's handler speaks for one that is not there.
    requestGate({ url }) {
      throw unknownMethod(new URL(url).pathname);
    },
  });
  router.service(Health, {});
  const handlerOf = (name: string) => router.handlers.find(({ method }) => method.name === name);
  const unary = handlerOf(Health.method.check.name);
  const stream = handlerOf(Health.method.watch.name);

  return async (call, path) => {
    const contentType = call.header.get("content-type") ?? "";
    const handler: UniversalHandlerFn | undefined = [unary, stream].find(
      (each) => each?.allowedMethods.includes(call.method) && each.supportedContentType(contentType),
    );
    if (handler === undefined) return jsonError(404, unknownMethod(path));
    const answer = await handler(call);
    return answer.status === 200 ? answer : { ...answer, status: 404 };
  };
}

/** Gives a body to those refusals that connect-es sends as a bare status. */
export function explainRefusal(response: UniversalServerResponse): UniversalServerResponse {
  if (response.body !== undefined) return response;
  const problem = problems.get(response.status);
  if (problem === undefined) return response;
  return jsonError(response.status, fromAppError(new AppError("UNSUPPORTED_PROTOCOL", problem)), response.header);
}

const problems: ReadonlyMap<number, string> = new Map([
  [405, "this method takes POST (Connect also takes GET where the method has no side effects)"],
  [
    415,
    "this content type is not spoken here; send application/json or application/proto (Connect), application/grpc, or application/grpc-web",
  ],
  [505, "a stream in both directions needs HTTP/2"],
]);

function jsonError(status: number, error: ConnectError, header = new Headers()): UniversalServerResponse {
  const body = errorToJsonBytes(error, undefined);
  const headers = new Headers(header);
  headers.set("content-type", "application/json");
  return { status, header: headers, body: createAsyncIterable([body]) };
}
