/** A real Kafka on this machine: one broker on loopback that is its own controller. It says nothing about how Kafka is used. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type EngineProcess, startProcess, untilReady } from "./engine-process.ts";
import { freePort } from "./free-port.ts";
import { findKafka, type KafkaProgram } from "./kafka-program.ts";

const run = promisify(execFile);

export interface KafkaOptions {
  /** Where engines are installed; see kafka-program.ts. */
  readonly home: string;
  /** Where it keeps its data. Without: a folder of its own, removed when it stops. */
  readonly dataDir?: string;
  /** 0: chosen by the system. Default 0. */
  readonly port?: number;
  /** Beside the plain one; what they need is among the `settings`. */
  readonly listeners?: readonly KafkaListener[];
  /** Further lines of server.properties. They win over those given here. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface KafkaListener {
  /** In capitals: "SECURE". */
  readonly name: string;
  readonly protocol: "PLAINTEXT" | "SASL_PLAINTEXT" | "SSL" | "SASL_SSL";
  readonly port: number;
}

export interface KafkaServer extends AsyncDisposable {
  /** "127.0.0.1:PORT" */
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

/** Small, and quick to start: the optimizing compiler costs more here than it brings. */
const JVM = ["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const LOGGING = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"];
/** A port that was free may be taken before the broker has it. */
const ATTEMPTS = 3;
/** Any will do; it must be the same at each start. */
const CLUSTER_ID = "c3dpdGNoYm9hcmQta2Fma2";

/** Resolves when it answers. One that an earlier process left running on the same dataDir is stopped first. */
export async function startKafka(options: KafkaOptions): Promise<KafkaServer> {
  const { home, dataDir } = options;
  const program = await findKafka(home);
  if (!program) throw new Error(`Kafka is not installed in ${home}, or there is no Java 17 for it`);
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), "switchboard-kafka-")));
  await mkdir(folder, { recursive: true });
  const forget = async () => {
    if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
  };
  const { broker, port } = await startBroker(program, folder, options);
  const stop = () => broker.stop().then(forget);
  return {
    brokers: `127.0.0.1:${port}`,
    port,
    pid: broker.pid,
    died: broker.died,
    stop,
    kill: () => broker.kill().then(forget),
    [Symbol.asyncDispose]: stop,
  };
}

async function startBroker(program: KafkaProgram, folder: string, options: KafkaOptions) {
  const logFile = join(folder, "kafka.log");
  const properties = join(folder, "server.properties");
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort());
    const settings = {
      ...serverSettings(folder, port, await freePort(), options.listeners ?? []),
      ...options.settings,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(properties, lines.join(""), { mode: 0o600 });
    await format(program, folder, properties);
    const broker: EngineProcess = await startProcess({
      name: "Kafka",
      program: { command: program.java, libraries: [] },
      args: [...JVM, ...LOGGING, "-cp", program.classPath, "kafka.Kafka", properties],
      logFile,
      pidFile: join(folder, "kafka.pid"),
    });
    try {
      await untilReady(broker, () => leads(port));
      return { broker, port };
    } catch (cause) {
      const retry = broker.ended.aborted && attempt < ATTEMPTS;
      await broker.kill();
      if (!retry) throw new Error(`Kafka did not start; its log is ${logFile}`, { cause });
    }
  }
}

function serverSettings(
  folder: string,
  port: number,
  controllerPort: number,
  further: readonly KafkaListener[],
): Readonly<Record<string, string>> {
  const listeners = [{ name: "PLAINTEXT", protocol: "PLAINTEXT", port }, ...further];
  const addresses = listeners.map((listener) => `${listener.name}://127.0.0.1:${listener.port}`);
  const protocols = listeners.map(({ name, protocol }) => `${name}:${protocol}`);
  return {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": [...protocols, "CONTROLLER:PLAINTEXT"].join(","),
    "inter.broker.listener.name": "PLAINTEXT",
    listeners: [...addresses, `CONTROLLER://127.0.0.1:${controllerPort}`].join(","),
    "advertised.listeners": addresses.join(","),
    "log.dirs": join(folder, "data"),
    "auto.create.topics.enable": "false",
    // One broker holds everything once; Kafka's defaults ask for three.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    // A new group has nobody to wait for, and members may ask to be missed soon.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "100",
    // After a crash the controller waits for the old broker's session before it believes in the new one.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",
  };
}

/** Makes the folder Kafka's, once: it writes `meta.properties` last. */
async function format({ java, classPath }: KafkaProgram, folder: string, properties: string): Promise<void> {
  const data = join(folder, "data");
  if (await readFile(join(data, "meta.properties")).catch(() => undefined)) return;
  await rm(data, { recursive: true, force: true });
  const tool = ["-XX:TieredStopAtLevel=1", "-cp", classPath, "kafka.tools.StorageTool", "format"];
  try {
    await run(java, [...tool, "-t", CLUSTER_ID, "-c", properties]);
  } catch (cause) {
    throw new Error(`Kafka's folder ${data} cannot be made: ${(cause as { stderr?: string }).stderr?.trim()}`, {
      cause,
    });
  }
}

/** Metadata (api key 3), version 1, of no topic: the answer names the brokers that the controller lets work. */
async function leads(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1").setTimeout(2_000, () => socket.destroy(new Error("no answer")));
  try {
    const [length, header, client, noTopic] = [
      "00000019",
      "0003000100000001",
      "000b737769746368626f617264",
      "00000000",
    ];
    socket.write(Buffer.from(`${length}${header}${client}${noTopic}`, "hex"));
    const [answer] = (await once(socket, "data")) as [Buffer];
    if (answer.length < 12 || answer.readInt32BE(8) < 1) throw new Error("no broker takes part yet");
  } finally {
    socket.destroy();
  }
}
