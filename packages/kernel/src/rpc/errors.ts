/**
 * Errors at the edge of a process: any thrown value becomes a ConnectError whose google.rpc.ErrorInfo names a reason, and
 * back. What nobody meant for the caller leaves as INTERNAL with the trace id alone.
 */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { AppError, ERROR_DOMAIN, type ReasonName } from "@switchboard/contract/app-error";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { Reason } from "@switchboard/gen/switchboard/reason/v1/reason_pb";

/** The reason that an error of Switchboard's names; undefined for every other value. */
export function reasonOf(error: unknown): ReasonName | undefined {
  if (error instanceof AppError) return error.reason;
  if (!(error instanceof ConnectError)) return undefined;
  for (const detail of error.details) {
    if ("desc" in detail && detail.desc === ErrorInfoSchema) return ownReason(detail.value);
  }
  return error.findDetails(ErrorInfoSchema).map(ownReason).find(Boolean);
}

function ownReason(info: { readonly reason?: string; readonly domain?: string }): ReasonName | undefined {
  return info.domain === ERROR_DOMAIN && info.reason && Object.hasOwn(Reason, info.reason)
    ? (info.reason as ReasonName)
    : undefined;
}

/** What the caller gets for a value that was thrown while the call was handled. */
export function toConnectError(error: unknown, traceId: string): ConnectError {
  if (error instanceof AppError) return fromAppError(error);
  if (error instanceof ConnectError) {
    if (reasonOf(error) !== undefined) return error;
    const meant = meantFor(error);
    if (meant !== undefined) return fromAppError(meant);
  } else if (error instanceof Error && error.name === "AbortError") {
    return fromAppError(new AppError("CANCELLED", "the call was cancelled", { cause: error }));
  }
  return fromAppError(new AppError("INTERNAL", `internal error; trace ${traceId}`, { cause: error }));
}

/** What connect-es itself throws into a handler, and nothing else: its other codes say nothing that can be trusted. */
function meantFor(error: ConnectError): AppError | undefined {
  switch (error.code) {
    case Code.DeadlineExceeded:
      return new AppError("DEADLINE_EXCEEDED", "the call took longer than its deadline allows", { cause: error });
    case Code.Canceled:
    case Code.Aborted:
      return error.isWireError ? undefined : new AppError("CANCELLED", "the call was cancelled", { cause: error });
    case Code.Unimplemented:
      return error.isWireError ? undefined : new AppError("UNKNOWN_METHOD", error.rawMessage, { cause: error });
    default:
      return undefined;
  }
}

/**
 * What the caller gets where connect-es could not read the request: it gives no reasons, and takes malformed protobuf for
 * an internal error.
 */
export function fromUnreadableRequest(error: unknown, maxRequestBytes: number, traceId: string): ConnectError {
  if (!(error instanceof ConnectError)) {
    return fromAppError(new AppError("CANCELLED", "the request ended before it was complete", { cause: error }));
  }
  if (reasonOf(error) !== undefined) return error;
  switch (error.code) {
    case Code.ResourceExhausted:
      return fromAppError(
        new AppError("REQUEST_TOO_LARGE", `the request message is larger than ${maxRequestBytes} bytes`, {
          cause: error,
        }),
      );
    case Code.InvalidArgument:
    case Code.Internal:
      return fromAppError(new AppError("MALFORMED_REQUEST", error.rawMessage, { cause: error }));
    case Code.Unimplemented:
      return fromAppError(
        new AppError("UNSUPPORTED_PROTOCOL", error.rawMessage, { cause: error }),
        new Headers(error.metadata),
      );
    default:
      return toConnectError(error, traceId);
  }
}

export function fromAppError(error: AppError, metadata?: Headers): ConnectError {
  const { reason, violations, retryAfterMs } = error;
  const converted = new ConnectError(error.message, error.code, metadata, [], error);
  converted.details.push({
    desc: ErrorInfoSchema,
    value: { reason, domain: ERROR_DOMAIN, metadata: { ...error.metadata } },
  });
  if (violations.length > 0) {
    converted.details.push({ desc: BadRequestSchema, value: { fieldViolations: violations.map((v) => ({ ...v })) } });
  }
  if (retryAfterMs !== undefined) {
    // RFC 9110, section 10.2.3: whole seconds.
    converted.metadata.set("retry-after", String(Math.ceil(retryAfterMs / 1_000)));
    converted.details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryAfterMs) } });
  }
  return converted;
}
