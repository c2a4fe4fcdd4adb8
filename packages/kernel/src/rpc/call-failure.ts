/**
 * What a caller gets when the channel gives up: the instance's own answer where there was one, otherwise a reason of
 * Switchboard's, and in both cases what was tried. Addresses stay in the cause, which only the log sees.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { DebugInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import type { EndpointStatus } from "./balancer.ts";
import { fromAppError } from "./errors.ts";
import { peerFaultOf } from "./peer-fault.ts";

export interface CallReport {
  readonly service: string;
  /** Why nothing more was tried. */
  readonly why: string;
  /** The instances of all attempts, in their order. */
  readonly tried: readonly string[];
  readonly bidi: boolean;
  readonly endpoints: readonly EndpointStatus[];
}

/** @param error what ended the last attempt; undefined: there was none. */
export function callFailure(error: unknown, report: CallReport): ConnectError {
  const { bidi, service, why } = report;
  const fault = peerFaultOf(error);
  if (fault && bidi && fault.kind.endsWith("_refused") && !fault.maybeProcessed) {
    return explained(
      "WRONG_STATE",
      `${service} can be reached over HTTP/1.1 only at the moment, and a stream in both directions needs HTTP/2; use a unary call, or make the way to it speak HTTP/2`,
      error,
      report,
    );
  }
  if (fault && error instanceof ConnectError && error.code === Code.Internal) {
    return explained(
      "INTERNAL",
      `${service} did not say how the call ended, and it may have had an effect`,
      error,
      report,
    );
  }
  if (fault && error instanceof ConnectError && error.code !== Code.Unavailable) {
    return withReport(
      new ConnectError(`${service} does not take gRPC: ${why}`, error.code, undefined, [], error),
      report,
    );
  }
  if (fault) return explained("SERVICE_UNAVAILABLE", `${service} cannot be reached: ${why}`, error, report);
  if (error === undefined) return explained("SERVICE_UNAVAILABLE", `${service} is not there: ${why}`, error, report);
  if (error instanceof AppError) return fromAppError(error);
  if (!(error instanceof ConnectError)) return ConnectError.from(error, Code.Internal);
  if (error.code === Code.DeadlineExceeded && !error.isWireError) {
    return explained("DEADLINE_EXCEEDED", `${service} did not answer within the call's deadline`, error, report);
  }
  if (isMalformedAnswer(error)) {
    return explained("INTERNAL", `${service} gave an answer that cannot be read: ${error.rawMessage}`, error, report);
  }
  return error.code === Code.Unavailable && error.isWireError ? withReport(error, report) : error;
}

/** connect-es finds an answer that is cut off, or has no end, to be an invalid argument. Of whom? */
function isMalformedAnswer({ code, isWireError, rawMessage }: ConnectError): boolean {
  return code === Code.InvalidArgument && !isWireError && rawMessage.startsWith("protocol error: ");
}

function withReport(error: ConnectError, report: CallReport): ConnectError {
  const detail = Object.entries(metadataOf(report)).map(([key, value]) => `${key}: ${value}`);
  error.details.push({ desc: DebugInfoSchema, value: { detail: detail.join("; ") } });
  return error;
}

function explained(reason: ReasonName, message: string, cause: unknown, report: CallReport): ConnectError {
  return fromAppError(new AppError(reason, message, { cause, metadata: metadataOf(report) }));
}

function metadataOf({ service, why, tried, endpoints }: CallReport): Record<string, string> {
  return {
    service,
    why,
    attempts: String(tried.length),
    tried: tried.join(" "),
    breakers: endpoints.map(({ breaker, instance }) => `${instance.instanceId}=${breaker}`).join(" "),
  };
}
