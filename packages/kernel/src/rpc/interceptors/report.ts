/**
 * The end of every call, once: what the caller gets for an error, the access log, the metrics and the audit log. The
 * outermost stage. Never logged: query strings (a Connect GET has its message there), headers, messages.
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { AppError } from "@switchboard/contract/app-error";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import type { Logger } from "pino";
import type { CallRecord } from "../../audit/call-recorder.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { fromAppError, fromUnreadableRequest, reasonOf, toConnectError } from "../errors.ts";
import { type RunningCall, runningCallOf } from "./running-call.ts";

export interface ReportDeps {
  readonly log: Logger;
  readonly metrics?: Pick<Metrics, "serverDuration"> | undefined;
  /** Takes refusals of every method; of audited methods also failures, and answers that no transaction reported. */
  readonly recordCall: (record: CallRecord) => void;
}

export interface Report {
  readonly interceptor: Interceptor;
  /** Reports a failed call. @returns what its caller gets. */
  failed(call: RunningCall, error: unknown): ConnectError;
  /** Logs that an answer could not be sent. @returns what its caller gets instead. */
  unsendable(call: RunningCall, error: unknown): ConnectError;
}

export function createReport(deps: ReportDeps): Report {
  const { log, metrics, recordCall } = deps;

  const end = (call: RunningCall, error: ConnectError | undefined) => {
    if (call.phase === "ended") return;
    const unread = call.phase === "receiving";
    call.phase = "ended";
    const ms = performance.now() - call.startedAt;
    const code = error ? codeToString(error.code) : "ok";
    metrics?.serverDuration.observe({ rpc_method: call.policy.name, rpc_response_status_code: code }, ms / 1000);
    const reason = error && (reasonOf(error) ?? "INTERNAL");
    audit(call, outcomeOf(error, unread), reason ?? "");
    const line = {
      method: call.policy.name,
      code,
      ms: Math.round(ms * 100) / 100,
      trace_id: call.trace.traceId,
      request_id: call.requestId,
      actor: call.actor,
      ...(reason && { reason }),
    };
    if (reason === "INTERNAL") log.error({ ...line, err: rootOf(error) }, "call failed");
    else if (error?.code === Code.Unavailable)
      log.warn({ ...line, err: rootOf(error) }, "call refused for want of something");
    else if (call.policy.name.startsWith("grpc.")) log.debug(line, "call");
    else log.info(line, "call");
  };

  const audit = (call: RunningCall, outcome: Outcome, reason: string) => {
    const { audited, object, policy } = call;
    if (outcome !== Outcome.DENIED && (audited || policy.audit === "none")) return;
    recordCall({ origin: call, method: policy.name, object, outcome, reason });
  };

  const failed = (call: RunningCall, error: unknown): ConnectError => {
    const converted = forCaller(call, toConnectError(error, call.trace.traceId));
    end(call, converted);
    return converted;
  };

  return {
    failed,
    unsendable({ policy, trace }, error) {
      log.error({ method: policy.name, trace_id: trace.traceId, err: error }, "an answer cannot be serialized");
      return toConnectError(error, trace.traceId);
    },
    interceptor: (next) => async (request) => {
      const call = runningCallOf({ values: request.contextValues });
      call.phase = "running";
      try {
        if (!request.stream) {
          const response = await next(request);
          if (!response.stream) end(call, undefined);
          return response;
        }
        const response = await next({ ...request, message: received(call, request.message) });
        if (!response.stream) return response;
        return { ...response, message: watched(call, response.message, end, failed) };
      } catch (error) {
        throw failed(call, error);
      }
    },
  };
}

/** The messages of a stream; what connect-es finds wrong with their bytes is the caller's fault, not the handler's. */
async function* received<T>(call: RunningCall, messages: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw fromUnreadableRequest(error, call.policy.maxRequestBytes, call.trace.traceId);
  }
}

async function* watched<T>(
  call: RunningCall,
  messages: AsyncIterable<T>,
  end: (call: RunningCall, error: ConnectError | undefined) => void,
  failed: Report["failed"],
): AsyncIterable<T> {
  try {
    yield* messages;
    end(call, undefined);
  } catch (error) {
    throw failed(call, error);
  } finally {
    // Neither ended nor failed: nobody takes the answers any more.
    if (call.phase !== "ended") failed(call, new AppError("CANCELLED", "the caller went away"));
  }
}

/** DENIED: not signed in, not permitted, over a limit or, before its message was read, not known from outside. */
function outcomeOf(error: ConnectError | undefined, unread: boolean): Outcome {
  if (error === undefined) return Outcome.ALLOWED;
  const denied =
    error.code === Code.Unauthenticated ||
    error.code === Code.PermissionDenied ||
    reasonOf(error) === "RATE_LIMITED" ||
    (unread && reasonOf(error) === "UNKNOWN_METHOD");
  return denied ? Outcome.DENIED : Outcome.FAILED;
}

/** Which instances were tried, and how they fare, is not for callers outside. */
function forCaller(call: RunningCall, error: ConnectError): ConnectError {
  const reason = reasonOf(error);
  const tells = error.isWireError || (error.cause instanceof AppError && "tried" in error.cause.metadata);
  if (!call.forwarded || !tells || reason === undefined) return error;
  return fromAppError(new AppError(reason, error.rawMessage, { cause: error }));
}

/** The error that somebody threw, below what was made of it for the caller. */
function rootOf(error: unknown): unknown {
  const below = error instanceof ConnectError || error instanceof AppError ? error.cause : undefined;
  return below === undefined ? error : rootOf(below);
}
