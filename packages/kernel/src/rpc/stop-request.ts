/**
 * What becomes of the rest of an HTTP/2 request whose answer is out: it is read and thrown away for a moment, since most
 * senders are nearly done, and then they are told to stop (RFC 9113, section 8.1). Unread it would hold up its sender for ever.
 */
import { constants, type ServerHttp2Stream } from "node:http2";

/** How long the rest is read. */
const DRAIN_MS = 250;
/** Between two looks whether the end of the answer is out. */
const END_SENT_CHECK_MS = 5;

/** Call when the whole answer was handed over. Nobody else reads the request any more. */
export function stopRequest(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed) return;
  stream.removeAllListeners("data").resume();
  const timer = setTimeout(stop, DRAIN_MS);
  stream.once("close", () => clearTimeout(timer));

  function stop(): void {
    if (stream.readableEnded || stream.destroyed) return;
    // "finish" comes before the trailers are sent, and a reset would overtake them.
    if (stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
    else setTimeout(stop, END_SENT_CHECK_MS);
  }
}
