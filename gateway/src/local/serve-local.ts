/** An exchange as connect-es sees a request, and its response as the exchange sends it. */
import type { UniversalHandlerFn } from "@connectrpc/connect/protocol";
import { AppError } from "@switchboard/contract/app-error";
import { fromAppError } from "@switchboard/kernel/rpc/errors";
import { explainRefusal } from "@switchboard/kernel/rpc/unknown-call";
import { codeName, nameOfHttpStatus } from "@switchboard/wire/status";
import { GRPC_STATUS } from "@switchboard/wire/trailers";
import { answerHeaders } from "../answer-headers.ts";
import { bodyFault } from "../exchange/body-fault.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { GatewayCall } from "../gateway-call.ts";
import { requestHeaders } from "../request-headers.ts";

export async function serveLocal(call: GatewayCall, handler: UniversalHandlerFn, now: number): Promise<void> {
  const { exchange, protocol } = call;
  const controller = new AbortController();
  call.answerBy({
    end(error) {
      controller.abort(fromAppError(error));
      if (!exchange.begun) call.refuse(error);
    },
    abandon: () => controller.abort(fromAppError(new AppError("CANCELLED", "the caller went away"))),
  });
  const header = new Headers();
  const headers = requestHeaders(call, {
    instanceAddress: "gateway",
    scheme: "http",
    serviceToken: "",
    behindProxy: false,
    now,
  });
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(":") && value !== undefined) header.set(name, String(value));
  }
  const response = explainRefusal(
    await handler({
      // Streams in both directions work over HTTP/1.1 too: it is the exchange that carries them.
      httpVersion: "2",
      url: `http://gateway${headers[":path"]}`,
      method: exchange.method,
      header,
      body: exchange.hasBody ? whole(exchange) : none(),
      signal: controller.signal,
    }),
  );
  if (call.ended) return;
  const body = response.body?.[Symbol.asyncIterator]();
  exchange.begin(response.status, answerHeaders(call, plain(response.header)), {
    headersOnly: body === undefined && response.trailer === undefined,
    trailers: protocol.name === "grpc",
    flush: !call.unary,
  });
  for (let next = await body?.next(); body && next && !next.done; next = await body.next()) {
    if (call.ended) return void (await body.return?.());
    if (!exchange.write(next.value)) await drained(call);
  }
  const grpcStatus = response.trailer?.get(GRPC_STATUS) ?? response.header?.get(GRPC_STATUS);
  call.outcome ||= grpcStatus && grpcStatus !== "0" ? codeName(Number(grpcStatus)) : nameOfHttpStatus(response.status);
  if (body !== undefined || response.trailer !== undefined) {
    exchange.end(protocol.name === "grpc" ? plain(response.trailer) : undefined);
  }
}

async function* whole(exchange: Exchange): AsyncGenerator<Uint8Array> {
  // Read in part it must not be destroyed: the answer goes out on the same connection.
  yield* exchange.body.iterator({ destroyOnReturn: false });
  const fault = bodyFault(exchange);
  if (fault) throw fromAppError(fault);
}

async function* none(): AsyncGenerator<Uint8Array> {}

function plain(headers: Headers | undefined): Record<string, string> {
  return Object.fromEntries(headers ?? []);
}

function drained({ exchange }: GatewayCall): Promise<void> {
  return new Promise((resolve) => {
    exchange.onDrain(resolve);
    exchange.onClosed(() => resolve());
  });
}
