import assert from "node:assert/strict";
import { test } from "node:test";
import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import { resolvePolicy } from "@switchboard/contract/policy";
import { parseTraceparent } from "@switchboard/contract/trace-context";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { type Call, callKey } from "./call.ts";
import { asSelf, inTrace, onBehalfOf } from "./outgoing.ts";

const trace = { traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: false };

function context(call: Partial<Call>, timeoutMs?: number) {
  const method = IdentityService.method.getUser;
  const full: Call = {
    actor: "user:1",
    policy: resolvePolicy(method),
    principal: { kind: "anonymous" },
    callingService: "gateway",
    accessToken: undefined,
    trace,
    requestId: "r1",
    clientAddress: "",
    audited: false,
    object: "",
    ...call,
  };
  return createHandlerContext({
    service: IdentityService,
    method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://127.0.0.1/",
    ...(timeoutMs !== undefined && { timeoutMs }),
    contextValues: createContextValues().set(callKey, full),
  });
}

test("on behalf of the caller: the user's token, the request's id and trace, a span of its own", () => {
  const { headers } = onBehalfOf(context({ accessToken: "jwt" }));
  const given = new Headers(headers);
  assert.equal(given.get("authorization"), "Bearer jwt");
  assert.equal(given.get("x-request-id"), "r1");
  const { traceId, spanId, sampled } = parseTraceparent(given.get("traceparent")) ?? {};
  assert.deepEqual([traceId, sampled], [trace.traceId, false]);
  assert.notEqual(spanId, trace.spanId);
});

test("as itself: without the user", () => {
  const given = new Headers(asSelf(context({ accessToken: "jwt" })).headers);
  assert.equal(given.get("authorization"), null);
  assert.equal(given.get("x-request-id"), "r1");
  assert.equal(new Headers(onBehalfOf(context({})).headers).get("authorization"), null, "nobody to speak for");
});

test("the call ends with the one under way: what is left of its time, and its cancellation", () => {
  const timed = context({}, 1_000);
  const { signal, timeoutMs = 0 } = onBehalfOf(timed);
  assert.ok(timeoutMs > 900 && timeoutMs <= 1_000, String(timeoutMs));
  assert.equal(signal?.aborted, false);
  timed.abort("gone");
  assert.equal(signal?.aborted, true);
  assert.equal(asSelf(context({})).timeoutMs, undefined);
});

test("a deadline that just passed stays one", () => {
  const over = context({}, 1);
  const end = performance.now() + 5;
  while (performance.now() < end);
  assert.equal(asSelf(over).timeoutMs, 1);
  over.abort();
});

test("events and jobs go on with their trace, or begin one", () => {
  const traceOf = (options: ReturnType<typeof inTrace>) =>
    parseTraceparent(new Headers(options.headers).get("traceparent"));
  assert.equal(traceOf(inTrace(trace))?.traceId, trace.traceId);
  assert.equal(traceOf(inTrace(undefined))?.sampled, true);
});
