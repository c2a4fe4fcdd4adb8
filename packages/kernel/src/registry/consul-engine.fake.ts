/** Consul as the registry's law needs it: fresh, provisioned, its connections breakable, and one that can be stopped. */
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { type ConsulServer, startConsul } from "@switchboard/engines/consul";
import type { DriverSpec } from "@switchboard/testkit/law";
import { cert, key } from "../rpc/certificate.fake.ts";
import { provisionConsul } from "./consul/provision.ts";

/** Each owns switchboard.<name>.v1. */
export const SERVICES = ["identity", "auth", "gateway"] as const;

export interface ConsulEngine extends AsyncDisposable {
  /** Through which its connections can be broken and delayed. */
  readonly url: string;
  /** The same, with TLS: the certificate is that of rpc/certificate.fake.ts. */
  readonly tlsUrl: string;
  readonly managementToken: string;
  token(service: string): string;
  driver(service: string, timing: { readonly leaseMs: number; readonly renewMs: number }): DriverSpec;
  cutConnections(): Promise<void>;
  /** Until the next call: every byte of an answer comes this much later. */
  delayAnswers(ms: number): void;
  stop(): Promise<void>;
  /** As a crash. */
  kill(): Promise<void>;
  /** Again at the same address, without provisioning. */
  start(): Promise<void>;
  provision(): Promise<void>;
}

export interface ConsulEngineOptions {
  /** Where engines are installed. */
  readonly home: string;
  /** Whether it knows after a restart what it knew before. */
  readonly persistent: boolean;
  /** Default true. */
  readonly provisioned?: boolean;
}

export async function openConsulEngine({
  home,
  persistent,
  provisioned = true,
}: ConsulEngineOptions): Promise<ConsulEngine> {
  await using stack = new AsyncDisposableStack();
  const managementToken = randomUUID();
  const folder = await mkdtemp(join(tmpdir(), "switchboard-test-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const options = { home, acl: { managementToken }, ...(persistent && { dataDir: join(folder, "consul") }) };
  let server: ConsulServer = await startConsul(options);
  stack.defer(() => server.stop());
  const proxy = stack.use(await openProxy(server.port));
  const tlsProxy = stack.use(await openProxy(server.port, { cert, key }));
  const url = `http://127.0.0.1:${proxy.port}`;
  const token = (service: string) => uuidOf(`${managementToken} ${service}`);
  const provision = () =>
    provisionConsul({
      url: server.url,
      managementToken,
      services: SERVICES.map((name) => ({ name, packages: [`switchboard.${name}.v1`], token: token(name) })),
    });
  if (provisioned) await provision();
  const kept = stack.move();
  return {
    url,
    tlsUrl: `https://127.0.0.1:${tlsProxy.port}`,
    managementToken,
    token,
    driver: (service, timing) => ({
      module: new URL("./consul.ts", import.meta.url).href,
      open: "openConsulRegistry",
      options: { url, token: token(service), ...timing },
    }),
    cutConnections: async () => proxy.cut(),
    delayAnswers: (ms) => proxy.delay(ms),
    stop: () => server.stop(),
    kill: () => server.kill(),
    start: async () => {
      server = await startConsul({ ...options, port: server.port });
    },
    provision,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openProxy(target: number, certificate?: { readonly cert: string; readonly key: string }) {
  const sockets = new Set<Socket>();
  let delayMs = 0;
  const forward = (client: Socket) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => {
      if (delayMs === 0) client.write(bytes);
      else setTimeout(() => client.write(bytes), delayMs).unref();
    });
  };
  const server = certificate ? createTlsServer(certificate, forward) : createServer(forward);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    delay(ms: number) {
      delayMs = ms;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}

function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
}
