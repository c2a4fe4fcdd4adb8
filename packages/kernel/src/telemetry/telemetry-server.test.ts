import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics, gauge } from "./metrics.ts";
import { startTelemetryServer } from "./telemetry-server.ts";

async function started(problems: () => readonly string[] = () => []) {
  const metrics = createMetrics({ service: "identity", instance: "1" });
  const server = await startTelemetryServer({ host: "127.0.0.1", port: 0, metrics: metrics.registry, problems });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return { metrics, get, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test("/livez lives, and /readyz says what is lacking, a line each", async () => {
  let lacking: readonly string[] = ["the database cannot be reached", "no keys"];
  await using server = await started(() => lacking);
  assert.deepEqual(await server.get("/livez"), { status: 200, text: "ok\n" });
  assert.deepEqual(await server.get("/readyz?verbose"), {
    status: 503,
    text: "the database cannot be reached\nno keys\n",
  });
  lacking = [];
  assert.deepEqual(await server.get("/readyz"), { status: 200, text: "ok\n" });
  assert.equal((await server.get("/")).status, 404);
});

test("/metrics has the process's own and the calls', and survives one that cannot be read", async () => {
  await using server = await started();
  server.metrics.serverDuration.observe({ rpc_method: "a.v1.A/Get", rpc_response_status_code: "ok" }, 0.003);
  const { status, text } = await server.get("/metrics");
  assert.equal(status, 200);
  assert.match(text, /^process_cpu_seconds_total\{.*service="identity"/m);
  assert.match(text, /^rpc_server_call_duration_seconds_count\{.*rpc_method="a\.v1\.A\/Get".*\} 1$/m);
  gauge(server.metrics, "broken", "Cannot be read.", () => Promise.reject(new Error("away")));
  assert.equal((await server.get("/metrics")).status, 503);
  assert.equal((await server.get("/livez")).status, 200);
});
