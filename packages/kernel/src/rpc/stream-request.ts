/** The messages that a stream sends, so that an attempt which used none of them can be followed by another. */
import type { DescMethodStreaming } from "@bufbuild/protobuf";
import { createAsyncIterable } from "@connectrpc/connect/protocol";

export interface StreamRequest<T> {
  /** The messages for one attempt. */
  messages(): AsyncIterable<T>;
  /** Whether all of them can still be given to another attempt. */
  resendable(): boolean;
  /** Tells whoever makes the messages that nobody takes more, and why. */
  end(error?: Error): void;
}

export async function openStreamRequest<T>(
  kind: DescMethodStreaming["methodKind"],
  input: AsyncIterable<T>,
): Promise<StreamRequest<T>> {
  if (kind === "server_streaming") {
    const messages = await Array.fromAsync(input);
    return { messages: () => createAsyncIterable(messages), resendable: () => true, end: () => {} };
  }
  const source = input[Symbol.asyncIterator]();
  let taken = false;
  // An attempt that fails must not end the source for the next one.
  const view: AsyncIterator<T> = {
    next() {
      taken = true;
      return source.next();
    },
    async throw(error) {
      throw error;
    },
    return: async () => ({ done: true, value: undefined }),
  };
  return {
    messages: () => ({ [Symbol.asyncIterator]: () => view }),
    resendable: () => !taken,
    end(error) {
      if (error) source.throw?.(error).catch(() => {});
      source.return?.().catch(() => {});
    },
  };
}
