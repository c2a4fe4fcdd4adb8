/**
 * A safe write (AIP-155): the change, its events, its audit entry and its answer are one transaction; the same request
 * again gets the same answer and changes nothing.
 */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Transaction } from "./database.ts";

export interface WriteOptions<O extends DescMessage> {
  /**
   * Makes the answer of a repeated request out of the stored one, whose sensitive fields are empty.
   * Default: the stored answer as it is.
   */
  readonly replay?: (stored: MessageShape<O>, tx: Transaction) => Promise<MessageInitShape<O>>;
}

export interface Writes {
  /**
   * Runs `change` for a request. Where the request has a `request_id` that this caller used before on this method, the
   * stored answer is given again, for 24 h; with another body, its sensitive fields included: AppError REQUEST_ID_REUSED.
   * Parallel repeats wait for the first.
   * `I` and `O` are the method's own messages: `write(AuthService.method.signUp, request, context, …)`.
   */
  write<I extends DescMessage, O extends DescMessage>(
    method: { readonly input: I; readonly output: O; readonly name: string },
    request: MessageShape<I>,
    context: HandlerContext,
    change: (tx: Transaction) => Promise<MessageInitShape<O>>,
    options?: WriteOptions<O>,
  ): Promise<MessageShape<O>>;
}
