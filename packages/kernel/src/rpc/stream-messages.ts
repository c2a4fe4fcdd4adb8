/** The answer of a stream: until its first message is here, a failure may still be followed by another attempt. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { StreamResponse } from "@connectrpc/connect";
import type { Attempt } from "./attempts.ts";

/** @param end called once, when the stream is over; with the error it ended with. */
export async function streamMessages<I extends DescMessage, O extends DescMessage>(
  open: () => Promise<Attempt<StreamResponse<I, O>>>,
  signal: AbortSignal | undefined,
  end: (error?: Error) => void,
): Promise<StreamResponse<I, O>> {
  const abandon = () => attempt.abandoned();
  const over = (error?: unknown) => {
    signal?.removeEventListener("abort", abandon);
    end(error instanceof Error ? error : undefined);
  };
  const orOver = async <T>(step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      over(error);
      throw error;
    }
  };

  let attempt = await orOver(open);
  let answers = attempt.answer.message[Symbol.asyncIterator]();
  let begun = false;
  signal?.addEventListener("abort", abandon, { once: true });

  const next = async (): Promise<IteratorResult<MessageShape<O>>> => {
    for (;;) {
      try {
        const result = await answers.next();
        if (!begun) attempt.began();
        begun = true;
        if (!result.done) return result;
        attempt.succeeded();
        over();
        return result;
      } catch (error) {
        if (begun) throw attempt.final(error);
        await attempt.failed(error);
        attempt = await open();
        answers = attempt.answer.message[Symbol.asyncIterator]();
      }
    }
  };

  return {
    ...attempt.answer,
    get header() {
      return attempt.answer.header;
    },
    get trailer() {
      return attempt.answer.trailer;
    },
    message: { [Symbol.asyncIterator]: () => ({ next: () => orOver(next) }) },
  };
}
