/** Redis as the state's law needs it: fresh, provisioned, its connections breakable, and one that can be stopped. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RedisServer, startRedis } from "@switchboard/engines/redis";
import type { DriverSpec } from "@switchboard/testkit/law";
import { Redis } from "ioredis";
import { startTcpProxy, type TcpProxy } from "../rpc/tcp-proxy.fake.ts";
import { provisionRedis } from "./redis/provision.ts";

export const SERVICES = ["identity", "auth"] as const;

export interface RedisEngine extends AsyncDisposable {
  readonly server: RedisServer;
  /** A wire in between, which can be frozen. */
  readonly proxy: TcpProxy;
  /** As the user that may do everything. */
  readonly admin: Redis;
  /** With the credential of a service. */
  url(service: string): string;
  proxyUrl(service: string): string;
  driver(service: string): DriverSpec;
  cutConnections(): Promise<void>;
  stop(): Promise<void>;
  /** As a crash. */
  kill(): Promise<void>;
  /** Again at the same address, with the same users and without data. */
  start(): Promise<void>;
  provision(): Promise<void>;
}

export interface RedisEngineOptions {
  /** Where engines are installed. */
  readonly home: string;
  readonly args?: readonly string[];
  /** Default true. */
  readonly provisioned?: boolean;
}

export async function openRedisEngine({
  home,
  args = [],
  provisioned = true,
}: RedisEngineOptions): Promise<RedisEngine> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "switchboard-test-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const users = join(folder, "users.acl");
  await writeFile(users, "user default on nopass ~* &* +@all\n");
  const options = { home, args: ["--aclfile", users, ...args] };
  let server: RedisServer = await startRedis(options);
  stack.defer(() => server.stop());
  const proxy = stack.use(await startTcpProxy(server.port));
  const admin = new Redis(server.port, "127.0.0.1", { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on("error", () => {});
  stack.defer(() => admin.disconnect());
  const provision = () =>
    provisionRedis({ url: server.url, services: SERVICES.map((name) => ({ name, password: password(name) })) });
  if (provisioned) await provision();
  const kept = stack.move();
  const urlAt = (port: number, service: string) => `redis://${service}:${password(service)}@127.0.0.1:${port}`;
  return {
    get server() {
      return server;
    },
    proxy,
    admin,
    url: (service) => urlAt(server.port, service),
    proxyUrl: (service) => urlAt(proxy.port, service),
    driver: (service) => ({
      module: new URL("./redis.ts", import.meta.url).href,
      open: "openRedisState",
      options: { url: urlAt(server.port, service), service },
    }),
    cutConnections: async () => {
      await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    },
    stop: () => server.stop(),
    kill: () => server.kill(),
    start: async () => {
      server = await startRedis({ ...options, port: server.port });
    },
    provision,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export function password(service: string): string {
  return `secret-of-${service}`;
}
