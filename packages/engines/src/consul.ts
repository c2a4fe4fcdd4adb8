/**
 * A real Consul on this machine: one agent that is its own server, on loopback. For development and tests; it says nothing
 * about who may register what.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findConsul } from "./consul-program.ts";
import { type EngineProcess, startProcess, untilReady } from "./engine-process.ts";
import { freePort } from "./free-port.ts";
import type { InstalledProgram } from "./installed-program.ts";

export interface ConsulOptions {
  /** Where engines are installed; see consul-program.ts. */
  readonly home: string;
  /** Where it keeps its data. Without: in memory only (`-dev`), with a new node and lower indexes after a restart. */
  readonly dataDir?: string;
  /** Of its HTTP interface. 0: chosen by the system. Default 0. */
  readonly port?: number;
  /** Who has no token may do nothing; the management token (a UUID) may do everything. Without: everybody may. */
  readonly acl?: { readonly managementToken: string };
}

export interface ConsulServer extends AsyncDisposable {
  /** http://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves with what is to be told when the agent ends without having been asked to. */
  readonly died: Promise<string>;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
  /** As a crash would. */
  kill(): Promise<void>;
}

/** A port that was free may be taken before the agent has it. */
const ATTEMPTS = 3;

/** Resolves when it takes writes. One that an earlier process left running on the same dataDir is stopped first. */
export async function startConsul(options: ConsulOptions): Promise<ConsulServer> {
  const { home, dataDir } = options;
  const program = await findConsul(home);
  if (!program) throw new Error(`Consul is neither installed in ${home} nor is consul on PATH`);
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), "switchboard-consul-")));
  await mkdir(folder, { recursive: true });
  const { agent, port } = await startAgent(program, folder, options);
  const forget = async () => {
    if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
  };
  const stop = () => agent.stop().then(forget);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: agent.pid,
    died: agent.died,
    stop,
    kill: () => agent.kill().then(forget),
    [Symbol.asyncDispose]: stop,
  };
}

async function startAgent(program: InstalledProgram, folder: string, options: ConsulOptions) {
  const { dataDir, acl } = options;
  const logFile = join(folder, "consul.log");
  const configFile = join(folder, "consul.json");
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort());
    const ports = { http: port, server: await freePort(), serf_lan: await freePort() };
    await writeFile(configFile, JSON.stringify(configuration(ports, acl)), { mode: 0o600 });
    const mode = dataDir === undefined ? ["-dev"] : ["-server", "-bootstrap-expect=1", `-data-dir=${dataDir}`];
    const agent: EngineProcess = await startProcess({
      name: "Consul",
      program,
      args: ["agent", ...mode, `-config-file=${configFile}`],
      logFile,
      pidFile: join(folder, "consul.pid"),
    });
    try {
      await untilReady(agent, () => takesWrites(port, acl?.managementToken));
      return { agent, port };
    } catch (cause) {
      const retry = agent.ended.aborted && attempt < ATTEMPTS;
      await agent.kill();
      if (!retry) throw new Error(`Consul did not start; its log is ${logFile}`, { cause });
    }
  }
}

function configuration(ports: Readonly<Record<string, number>>, acl: ConsulOptions["acl"]) {
  return {
    node_name: "switchboard",
    bind_addr: "127.0.0.1",
    client_addr: "127.0.0.1",
    ports: { ...ports, https: -1, grpc: -1, dns: -1, serf_wan: -1 },
    log_level: "warn",
    disable_update_check: true,
    // A lone server that leaves its own cluster never leads again.
    leave_on_terminate: false,
    skip_leave_on_interrupt: true,
    // Elections in one second rather than five.
    performance: { raft_multiplier: 1 },
    // All processes of the platform have one address here, with a few connections each; the default is 200.
    limits: { http_max_conns_per_client: 2_000 },
    ...(acl && {
      acl: {
        enabled: true,
        default_policy: "deny",
        tokens: { master: acl.managementToken, agent: acl.managementToken },
      },
    }),
  };
}

/** The port is open long before there is a leader, and there is one before the token is known. */
async function takesWrites(port: number, token: string | undefined): Promise<void> {
  const key = `http://127.0.0.1:${port}/v1/kv/switchboard/engine-ready`;
  const headers = token === undefined ? {} : { "x-consul-token": token };
  for (const method of ["PUT", "DELETE"]) {
    const response = await fetch(key, { method, headers, signal: AbortSignal.timeout(5_000) });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${answer}`);
  }
}
