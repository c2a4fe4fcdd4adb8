/** Gives a stream to an upstream up, so that nobody there can take a body that was cut for one that ended. */
import type { ClientHttp2Stream } from "node:http2";
import { addAbortSignal } from "node:stream";

const aborted = AbortSignal.abort();

/**
 * Resets the stream with CANCEL. Node's own `close(code)` ends the stream in good order before it resets it, and
 * `destroy()` cannot send CANCEL by itself: an abort signal is the way that does neither.
 */
export function cancelStream(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) addAbortSignal(aborted, stream);
}
