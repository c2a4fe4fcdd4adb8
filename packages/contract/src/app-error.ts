/**
 * The one error that Switchboard's own code throws on purpose: a reason from `reason.proto`, a message for the caller
 * that names the mend, and a private cause that only the log sees. Everything else leaves a process as INTERNAL.
 */
import { getOption } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { code as codeOption, type Reason, ReasonSchema } from "@switchboard/gen/switchboard/reason/v1/reason_pb";

/** A reason's name as it is sent in google.rpc.ErrorInfo: "RATE_LIMITED". */
export type ReasonName = Exclude<keyof typeof Reason, "UNSPECIFIED">;

/** The `domain` of every google.rpc.ErrorInfo that Switchboard sends (AIP-193). */
export const ERROR_DOMAIN = "switchboard";

/** One field that is wrong, as in google.rpc.BadRequest. */
export interface FieldViolation {
  /** Path of the field in the request, in proto names: "user.display_name". */
  readonly field: string;
  /** What the field must be: "must have 1 to 200 characters". */
  readonly description: string;
}

export interface AppErrorOptions {
  /** What really happened. Goes to the log, never to the caller. */
  readonly cause?: unknown;
  /** Sent as google.rpc.BadRequest. */
  readonly violations?: readonly FieldViolation[];
  /** Sent as ErrorInfo.metadata. Never a secret. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Sent as google.rpc.RetryInfo, and at the gateway as Retry-After. */
  readonly retryAfterMs?: number;
}

const codes = new Map<string, Code>(
  ReasonSchema.values.map((value) => [value.localName, getOption(value, codeOption) as number as Code]),
);

export class AppError extends Error {
  override readonly name = "AppError";
  readonly reason: ReasonName;
  /** The gRPC status code that `reason.proto` gives to the reason. */
  readonly code: Code;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: ReasonName, publicMessage: string, options: AppErrorOptions = {}) {
    super(publicMessage, "cause" in options ? { cause: options.cause } : undefined);
    this.reason = reason;
    this.code = codeOf(reason);
    this.violations = options.violations ?? [];
    this.metadata = options.metadata ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The status code of a reason. */
export function codeOf(reason: ReasonName): Code {
  return codes.get(reason) as Code;
}
