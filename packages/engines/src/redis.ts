/** A real Redis on this machine, alone and on loopback. It says nothing about how Redis is used. */
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcess, untilReady } from "./engine-process.ts";
import { freePort } from "./free-port.ts";
import { findRedis } from "./redis-program.ts";

export interface RedisOptions {
  /** Where engines are installed; see redis-program.ts. */
  readonly home: string;
  /** Where it keeps its data, every write appended. Without: in memory only. */
  readonly dataDir?: string;
  /** 0: chosen by the system. Default 0. */
  readonly port?: number;
  /** Further arguments, as on Redis's command line: ["--maxmemory", "16mb"]. They win over those given here. */
  readonly args?: readonly string[];
}

export interface RedisServer extends AsyncDisposable {
  /** redis://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves with what is to be told when the server ends without having been asked to. */
  readonly died: Promise<string>;
  /** Saves where there is a dataDir; resolves when the process is gone. */
  stop(): Promise<void>;
  /** As a crash would. */
  kill(): Promise<void>;
}

/** Resolves when it answers. One that an earlier process left running on the same dataDir is stopped first. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const { home, dataDir, args = [] } = options;
  const program = await findRedis(home);
  if (!program) throw new Error(`Redis is neither installed in ${home} nor is redis-server on PATH`);
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), "switchboard-redis-")));
  await mkdir(folder, { recursive: true });
  const forget = async () => {
    if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
  };
  const port = options.port || (await freePort());
  const logFile = join(folder, "redis.log");
  const settings = {
    bind: "127.0.0.1",
    port: String(port),
    dir: folder,
    appendonly: dataDir === undefined ? "no" : "yes",
    save: "",
    daemonize: "no",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const pidFile = join(folder, "redis.pid");
  const server = await startProcess({ name: "Redis", program, args: [...flags, ...args], logFile, pidFile });
  try {
    await untilReady(server, () => answers(port));
  } catch (cause) {
    await server.kill();
    throw new Error(`Redis did not start; its log is ${logFile}`, { cause });
  }
  const stop = () => server.stop().then(forget);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: server.pid,
    died: server.died,
    stop,
    kill: () => server.kill().then(forget),
    [Symbol.asyncDispose]: stop,
  };
}

/** The process may listen and still be loading its data: then it answers -LOADING. */
async function answers(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1").setTimeout(2_000, () => socket.destroy(new Error("no answer")));
  try {
    socket.write("PING\r\n");
    const [answer] = await once(socket, "data");
    // A server that wants a password is one that works.
    if (!/^(\+PONG|-NOAUTH)/.test(String(answer))) throw new Error(String(answer).trim());
  } finally {
    socket.destroy();
  }
}
