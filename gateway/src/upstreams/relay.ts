/**
 * An instance's answer on its way to the caller, byte by byte. It follows the envelopes, so that an answer which the
 * gateway has to end, or which the instance leaves unfinished, ends at a message's boundary in the caller's protocol, and
 * is reset inside a message.
 */
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { AppError } from "@switchboard/contract/app-error";
import { fromAppError } from "@switchboard/kernel/rpc/errors";
import { EnvelopeScanner } from "@switchboard/wire/envelope-scanner";
import { errorEnding } from "@switchboard/wire/error-forms";
import { codeName, nameOfHttpStatus } from "@switchboard/wire/status";
import { GRPC_STATUS } from "@switchboard/wire/trailers";
import { answerHeaders, answerTrailers } from "../answer-headers.ts";
import type { GatewayCall } from "../gateway-call.ts";
import { wireError } from "../wire-error.ts";
import { cancelStream } from "./cancel-stream.ts";

export interface Relay {
  /** Ends the answer with an error: at the next boundary, if one comes soon. */
  end(error: AppError): void;
  /** The caller is gone. */
  abandon(): void;
}

/** How long the rest of a message is waited for before the answer is reset inside it. */
const BOUNDARY_GRACE_MS = 1_000;

/** @param done called once: whether the instance gave its answer to the end. */
export function relayAnswer(
  call: GatewayCall,
  upstream: ClientHttp2Stream,
  headers: IncomingHttpHeaders & IncomingHttpStatusHeader,
  headersOnly: boolean,
  done: (complete: boolean) => void,
): Relay {
  const { exchange, protocol } = call;
  const status = headers[":status"] ?? 502;
  // A refusal of the protocol itself (404, 415 …) has no envelopes.
  const scanner = protocol.enveloped && status === 200 ? new EnvelopeScanner() : undefined;
  const announced = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
  let trailers: IncomingHttpHeaders = {};
  let bytes = 0;
  let ending: AppError | undefined;
  let graceTimer: NodeJS.Timeout | undefined;
  let over = false;

  const finish = (complete: boolean) => {
    if (over) return;
    over = true;
    clearTimeout(graceTimer);
    done(complete);
    if (!upstream.closed) cancelStream(upstream);
  };
  const isComplete = (): boolean => {
    if (upstream.rstCode !== constants.NGHTTP2_NO_ERROR) return false;
    if (scanner === undefined) return announced === undefined || announced === bytes;
    if (!scanner.atBoundary()) return false;
    if (protocol.name === "grpc") return (trailers[GRPC_STATUS] ?? headers[GRPC_STATUS]) !== undefined;
    return scanner.messages > 0 ? (scanner.flags & protocol.endFlag) !== 0 : headers[GRPC_STATUS] !== undefined;
  };
  const endWith = (error: AppError) => {
    const failure = fromAppError(error);
    const form = errorEnding(protocol, wireError(failure));
    call.outcome = codeName(failure.code);
    if (scanner?.atBoundary() && form) {
      if (form.bytes.length > 0) exchange.write(form.bytes);
      exchange.end(form.trailers);
    } else {
      exchange.reset();
    }
    finish(false);
  };
  const broken = () => {
    if (over) return;
    endWith(
      ending ??
        new AppError("SERVICE_UNAVAILABLE", "the service broke its answer off; repeat the call if that is safe"),
    );
  };
  const take = (chunk: Buffer) => {
    if (over) return;
    bytes += chunk.length;
    const boundary = scanner?.push(chunk) ?? -1;
    if (ending && boundary !== -1) {
      exchange.write(chunk.subarray(0, boundary));
      return endWith(ending);
    }
    if (!exchange.write(chunk)) {
      upstream.pause();
      exchange.onDrain(() => upstream.resume());
    }
  };
  const complete = () => {
    if (over) return;
    if (!isComplete()) return broken();
    const code = trailers[GRPC_STATUS] ?? headers[GRPC_STATUS];
    call.outcome = code === undefined ? nameOfHttpStatus(status) : code === "0" ? "ok" : codeName(Number(code));
    exchange.end(protocol.name === "grpc" ? answerTrailers(trailers) : undefined);
    finish(true);
  };

  exchange.begin(status, answerHeaders(call, headers), {
    headersOnly,
    trailers: protocol.name === "grpc",
    flush: !call.unary,
  });
  if (headersOnly) {
    const code = headers[GRPC_STATUS];
    call.outcome = code === undefined ? nameOfHttpStatus(status) : codeName(Number(code));
    finish(true);
  } else {
    upstream.on("data", take);
    upstream.once("trailers", (received) => {
      trailers = received;
    });
    upstream.once("end", complete);
    upstream.once("close", broken);
    upstream.resume();
  }
  return {
    end(error) {
      if (over || ending) return;
      if (scanner === undefined || scanner.atBoundary()) return endWith(error);
      ending = error;
      graceTimer = setTimeout(() => endWith(error), BOUNDARY_GRACE_MS);
    },
    abandon: () => finish(false),
  };
}
