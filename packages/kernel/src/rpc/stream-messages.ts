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
  let attempt: Attempt<StreamResponse<I, O>>;
  let answers: AsyncIterator<MessageShape<O>>;
  let begun = false;

  const abandon = () => attempt?.abandoned();
  const over = (error?: unknown) => {
    signal?.removeEventListener("abort", abandon);
    end(error instanceof Error ? error : undefined);
  };
  const reopen = async () => {
    attempt = await open();
    answers = attempt.answer.message[Symbol.asyncIterator]();
  };
  const next = async () => {
    for (;;) {
      try {
        const result = await answers.next();
        begun = true;
        if (result.done) attempt.succeeded();
        if (result.done) over();
        return result;
      } catch (error) {
        if (begun) throw attempt.final(error);
        await attempt.failed(error);
        await reopen();
      }
    }
  };
  const orOver = async <T>(step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      over(error);
      throw error;
    }
  };

  await orOver(reopen);
  signal?.addEventListener("abort", abandon, { once: true });
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
