/** A real Kafka on this machine: one node in KRaft mode, on loopback. It says nothing about topics or who may use them. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startProcess, untilReady } from "./engine-process.ts";
import { freePort } from "./free-port.ts";
import { findKafka, type KafkaProgram } from "./kafka-program.ts";

const run = promisify(execFile);

export interface KafkaOptions {
  /** Where engines are installed; see kafka-program.ts. */
  readonly home: string;
  /** Where it keeps its data. Without: in a temporary folder that goes with it. */
  readonly dataDir?: string;
  /** 0: chosen by the system. Default 0. */
  readonly port?: number;
}

export interface KafkaServer extends AsyncDisposable {
  /** 127.0.0.1:PORT */
  readonly brokers: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves with what is to be told when the broker ends without having been asked to. */
  readonly died: Promise<string>;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
  /** As a crash would. */
  kill(): Promise<void>;
}

/** Warnings, and that it started. */
const QUIET = [
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
];
/** What the broker's own log says once it takes requests. */
const STARTED = "Kafka Server started";

/** Resolves when it takes requests. One that an earlier process left running on the same dataDir is stopped first. */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const { home, dataDir } = options;
  const program = await findKafka(home);
  if (!program) throw new Error(`Kafka is not installed in ${home}, or there is no Java to run it with`);
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), "switchboard-kafka-")));
  await mkdir(folder, { recursive: true });
  const forget = async () => {
    if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
  };
  const port = options.port || (await freePort());
  const logFile = join(folder, "kafka.log");
  const settings = join(folder, "server.properties");
  await writeFile(settings, properties(folder, port, await freePort()));
  if (!existsSync(join(folder, "data", "meta.properties"))) await format(program, settings);
  const logged = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  const server = await startProcess({
    name: "Kafka",
    program: { command: program.java, libraries: [] },
    // A broker that is small and soon there: nobody measures Java here.
    args: [
      ...QUIET,
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      "-cp",
      program.classPath,
      "kafka.Kafka",
      settings,
    ],
    logFile,
    pidFile: join(folder, "kafka.pid"),
  });
  try {
    await untilReady(server, async () => {
      const log = await readFile(logFile);
      if (!log.subarray(logged).includes(STARTED)) throw new Error("it has not said that it started");
    });
  } catch (cause) {
    await server.kill();
    throw new Error(`Kafka did not start; its log is ${logFile}`, { cause });
  }
  const stop = () => server.stop().then(forget);
  return {
    brokers: `127.0.0.1:${port}`,
    port,
    pid: server.pid,
    died: server.died,
    stop,
    kill: () => server.kill().then(forget),
    [Symbol.asyncDispose]: stop,
  };
}

/** Gives the storage its identity. */
async function format({ java, classPath }: KafkaProgram, settings: string): Promise<void> {
  const cluster = randomBytes(16).toString("base64url");
  const tool = ["-XX:TieredStopAtLevel=1", ...QUIET, "-cp", classPath, "kafka.tools.StorageTool"];
  await run(java, [...tool, "format", "--cluster-id", cluster, "--config", settings]);
}

function properties(folder: string, port: number, controllerPort: number): string {
  const settings = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": join(folder, "data"),
    "auto.create.topics.enable": false,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 8,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    // After a crash the node may come back in 3 s rather than 13.
    "broker.session.timeout.ms": 1_500,
    "broker.heartbeat.interval.ms": 300,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
