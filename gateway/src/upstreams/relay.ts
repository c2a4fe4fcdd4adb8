/**
 * An instance's answer on its way to the caller, byte by byte. An answer which the gateway has to end, or which the
 * instance leaves unfinished, ends at a message's boundary in the caller's protocol, and is reset inside a message.
 */
import type { ClientHttp2Stream } from "node:http2";
import { AppError } from "@switchboard/contract/app-error";
import { fromAppError } from "@switchboard/kernel/rpc/errors";
import { errorEnding } from "@switchboard/wire/error-forms";
import { codeName } from "@switchboard/wire/status";
import { answerHeaders, answerTrailers } from "../answer-headers.ts";
import type { Answering, GatewayCall } from "../gateway-call.ts";
import { wireError } from "../wire-error.ts";
import type { AnswerScan } from "./answer-scan.ts";
import type { AnswerStart } from "./answer-start.ts";
import { cancelStream } from "./cancel-stream.ts";

/** How long the rest of a message is waited for before the answer is reset inside it. */
const BOUNDARY_GRACE_MS = 1_000;

export interface RelayEvents {
  /** A first message came. */
  readonly onMessage: () => void;
  /** Called once: whether the instance gave its answer to the end. */
  readonly onDone: (complete: boolean) => void;
}

/**
 * @param start what was held back of it, already scanned.
 * @throws Error where a header cannot be sent.
 */
export function relayAnswer(
  call: GatewayCall,
  upstream: ClientHttp2Stream,
  scan: AnswerScan,
  start: AnswerStart,
  { onDone, onMessage }: RelayEvents,
): Answering {
  const { exchange, protocol } = call;
  let ending: AppError | undefined;
  let graceTimer: NodeJS.Timeout | undefined;
  let over = false;
  let hasMessage = false;

  const finish = (complete: boolean) => {
    if (over) return;
    over = true;
    clearTimeout(graceTimer);
    onDone(complete);
    if (!upstream.closed) cancelStream(upstream);
  };
  const endWith = (error: AppError, atBoundary = scan.atBoundary()) => {
    const failure = fromAppError(error);
    const form = errorEnding(protocol, wireError(failure, call.bare));
    call.outcome = codeName(failure.code);
    if (atBoundary && form) {
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
  const pass = (chunk: Buffer) => {
    if (exchange.write(chunk)) return;
    upstream.pause();
    exchange.onDrain(() => upstream.resume());
  };
  const take = (chunk: Buffer) => {
    if (over) return;
    const boundary = scan.push(chunk);
    if (!hasMessage && scan.hasMessage()) {
      hasMessage = true;
      onMessage();
    }
    if (ending === undefined || boundary === -1) return pass(chunk);
    exchange.write(chunk.subarray(0, boundary));
    endWith(ending, true);
  };
  const complete = () => {
    if (over) return;
    if (!scan.isComplete(upstream)) return broken();
    call.outcome = scan.outcome();
    exchange.end(protocol.name === "grpc" ? answerTrailers(scan.trailers) : undefined);
    finish(true);
  };

  const headersOnly = start.ended && start.chunks.length === 0 && Object.keys(scan.trailers).length === 0;
  exchange.begin(scan.status, answerHeaders(call, scan.head), {
    headersOnly,
    trailers: protocol.name === "grpc",
    flush: !call.unary,
  });
  if (headersOnly) {
    call.outcome = scan.outcome();
    finish(true);
  } else if (start.ended) {
    for (const chunk of start.chunks) exchange.write(chunk);
    complete();
  } else {
    upstream.on("data", take);
    upstream.once("trailers", (received) => {
      scan.trailers = received;
    });
    upstream.once("end", complete);
    upstream.once("close", broken);
    upstream.resume();
    start.chunks.forEach(pass);
  }
  return {
    end(error) {
      if (over || ending) return;
      if (!scan.enveloped() || scan.atBoundary()) return endWith(error);
      ending = error;
      graceTimer = setTimeout(endWith, BOUNDARY_GRACE_MS, error);
    },
    abandon: () => finish(false),
  };
}
