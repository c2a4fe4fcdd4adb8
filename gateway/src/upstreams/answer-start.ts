/**
 * The beginning of an answer, held back while the call could still be sent to another instance: of a unary answer nobody
 * has any use for a part.
 */
import type { ClientHttp2Stream } from "node:http2";
import type { AnswerScan } from "./answer-scan.ts";

/** What is held back at most. A longer answer is passed on as it comes. */
const MAX_HELD_BYTES = 64 * 1024;

export interface AnswerStart {
  readonly chunks: readonly Buffer[];
  /** Whether this is all of it. */
  readonly ended: boolean;
}

/** Nothing is held back. */
export const NO_START: AnswerStart = { chunks: [], ended: false };

/** Resolves with the whole of a short answer or the beginning of a long one; undefined: it broke off. */
export function holdAnswer(stream: ClientHttp2Stream, scan: AnswerScan): Promise<AnswerStart | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const done = (start: AnswerStart | undefined) => {
      stream.off("data", take).off("end", ended).off("close", broken).off("trailers", trailers);
      resolve(start);
    };
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      scan.push(chunk);
      if (bytes <= MAX_HELD_BYTES) return;
      stream.pause();
      done({ chunks, ended: false });
    };
    const trailers = (received: AnswerScan["trailers"]) => {
      scan.trailers = received;
    };
    const ended = () => done(scan.isComplete(stream) ? { chunks, ended: true } : undefined);
    const broken = () => done(undefined);
    stream.on("data", take).once("end", ended).once("close", broken).once("trailers", trailers);
    stream.resume();
  });
}
