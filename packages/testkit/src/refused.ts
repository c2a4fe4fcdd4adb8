/** What a caller reads out of a refused call. */
import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeOf, type ReasonName } from "@switchboard/contract/app-error";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";

export interface Refusal {
  readonly rawMessage: string;
  /** The fields that google.rpc.BadRequest names. */
  readonly fields: readonly string[];
  /** Seconds to wait; undefined: not told. */
  readonly retryAfter: number | undefined;
}

/** Waits for a call to be refused with a reason, and its code. */
export async function refused(reason: ReasonName, call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => assert.fail(`the call was answered, and ${reason} was expected`),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof ConnectError, String(error));
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.equal(info?.reason, reason, error.message);
  assert.equal(Code[error.code], Code[codeOf(reason)]);
  const violations = error.findDetails(BadRequestSchema).flatMap((details) => details.fieldViolations);
  const [retry] = error.findDetails(RetryInfoSchema);
  return {
    rawMessage: error.rawMessage,
    fields: violations.map((violation) => violation.field),
    retryAfter: retry?.retryDelay && Number(retry.retryDelay.seconds),
  };
}
