/**
 * The telemetry port, for the operator and never for callers: `/livez` (the process turns), `/readyz` (it can serve, or
 * 503 with a line for each thing it lacks) and `/metrics` (Prometheus text format).
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";

export interface TelemetryServer extends AsyncDisposable {
  readonly port: number;
}

export async function startTelemetryServer(options: {
  readonly host: string;
  readonly port: number;
  readonly metrics: Registry;
  /** What the process lacks; empty: ready. */
  readonly problems: () => readonly string[];
}): Promise<TelemetryServer> {
  const { metrics, problems } = options;
  const server = createServer(async (request, response) => {
    const path = request.url?.split("?", 1)[0];
    if (path === "/livez") {
      response.end("ok\n");
    } else if (path === "/readyz") {
      const lacking = problems();
      response.statusCode = lacking.length === 0 ? 200 : 503;
      response.end(lacking.length === 0 ? "ok\n" : `${lacking.join("\n")}\n`);
    } else if (path === "/metrics") {
      // What cannot be read now is the scraper's next question.
      const text = await metrics.metrics().catch(() => undefined);
      response.statusCode = text === undefined ? 503 : 200;
      response.setHeader("content-type", metrics.contentType);
      response.end(text);
    } else {
      response.statusCode = 404;
      response.end("there are /livez, /readyz and /metrics\n");
    }
  });
  server.listen(options.port, options.host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
