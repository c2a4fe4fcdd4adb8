/**
 * What every call of a service passes before its handler, in order. Before the body is read (the gate): reachable →
 * authenticate → caller. Then, with the message: report → deadline → permission → handler. Report comes first, so that it
 * sees the end of everything; the deadline bounds the question to Authz too.
 */
import { base64Decode } from "@bufbuild/protobuf/wire";
import { ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { TokenVerifier } from "../../trust/token-verifier.ts";
import type { Authorizer } from "../authorizer.ts";
import { callKey } from "../call.ts";
import { fromUnreadableRequest, reasonOf } from "../errors.ts";
import type { Policies } from "../policies.ts";
import type { Gate } from "../routes.ts";
import { requireCaller, requireReachable } from "./access.ts";
import { authenticate } from "./authenticate.ts";
import { deadline } from "./deadline.ts";
import { permission } from "./permission.ts";
import { createReport, type Report, type ReportDeps } from "./report.ts";
import { beginCall, type RunningCall } from "./running-call.ts";

interface ReportedDeps extends ReportDeps {
  /** From `resolvePolicies()`, of everything that is served. */
  readonly policies: Policies;
}

export interface ServiceInterceptorsDeps extends ReportedDeps {
  readonly verifier: TokenVerifier;
  readonly authorizer: Authorizer;
}

export interface ServiceInterceptors {
  readonly gate: Gate;
  readonly interceptors: readonly Interceptor[];
}

export function serviceInterceptors(deps: ServiceInterceptorsDeps): ServiceInterceptors {
  const { authorizer, policies, verifier } = deps;
  const admit = async (call: RunningCall, header: Headers) => {
    requireReachable(call);
    await authenticate(call, header, verifier);
    requireCaller(call);
  };
  return reported(deps, admit, [deadline, permission(policies, authorizer)]);
}

/** For calls that somebody else in this process has let in: their errors get reasons, and their end is told. */
export function admittedInterceptors(deps: ReportedDeps): ServiceInterceptors {
  return reported(deps, () => {}, []);
}

function reported(
  deps: ReportedDeps,
  admit: (call: RunningCall, header: Headers) => void | Promise<void>,
  further: readonly Interceptor[],
): ServiceInterceptors {
  const { policies } = deps;
  const report = createReport(deps);
  return {
    interceptors: [report.interceptor, ...further],
    async gate(context) {
      const policy = policies.get(context.method);
      if (policy === undefined) throw new Error(`no policy was resolved for ${context.method.name}`);
      const header = context.requestHeader;
      const call = beginCall(header, policy);
      context.values.set(callKey, call);
      try {
        await admit(call, header);
        requireReadableQuery(context);
      } catch (error) {
        throw report.failed(call, error);
      }
      watchBytes(context, call, report);
    },
  };
}

/** For connect-es a query that is no base64 is an internal error, and one that nobody can explain afterwards. */
function requireReadableQuery({ requestMethod, url }: HandlerContext): void {
  if (requestMethod !== "GET") return;
  const query = new URL(url).searchParams;
  if (query.get("base64") !== "1") return;
  try {
    base64Decode(query.get("message") ?? "");
  } catch (error) {
    throw new AppError("MALFORMED_REQUEST", "the message in the query is not base64", { cause: error });
  }
}

/**
 * Sees the errors that the interceptors do not: a message that cannot be read, and an answer that cannot be written.
 * connect-es aborts the call's signal with the very error that it sends next, and gives no other occasion to say what the
 * error means: the reason is put into that object.
 */
function watchBytes({ signal }: HandlerContext, call: RunningCall, report: Report): void {
  const aborted = () => {
    const { reason: error } = signal;
    let meant: ConnectError;
    if (call.phase === "receiving") {
      meant = fromUnreadableRequest(error, call.policy.maxRequestBytes, call.trace.traceId);
      report.failed(call, meant);
    } else if (call.phase === "ended" && error instanceof ConnectError && reasonOf(error) === undefined) {
      meant = report.unsendable(call, error);
    } else {
      return;
    }
    if (!(error instanceof ConnectError)) return;
    const { code, details, message, rawMessage } = meant;
    Object.assign(error, { code, details, message, rawMessage });
  };
  // The caller may have gone while its token was verified.
  if (signal.aborted) aborted();
  else signal.addEventListener("abort", aborted, { once: true });
}
