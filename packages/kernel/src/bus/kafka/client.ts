/** How this process reaches Kafka: one description, from which every connection of the bus is made. It holds none itself. */
import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { type Admin, type Cluster, Kafka, logLevel, Partitioners, type Producer, type SASLOptions } from "kafkajs";
import KafkaCluster from "kafkajs/src/cluster/index.js";
import loggers from "kafkajs/src/loggers/index.js";
import defaultSocketFactory from "kafkajs/src/network/socketFactory.js";
import type { Logger } from "pino";
import { ended } from "./ended.ts";

export interface Sasl {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

/** As kafkajs asks for a connection; `onConnect` is to be called when it stands, TLS included. */
export interface SocketRequest {
  readonly host: string;
  readonly port: number;
  readonly ssl: ConnectionOptions;
  readonly onConnect: () => void;
}

export interface KafkaConnection {
  /** "host:port" of some brokers; they name the others. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Undefined: without TLS. */
  readonly tls: ConnectionOptions | undefined;
  /** Undefined: without a name. */
  readonly sasl: Sasl | undefined;
  /** Undefined: directly. */
  readonly connect: ((request: SocketRequest) => Socket) | undefined;
}

const CONNECTION_TIMEOUT_MS = 3_000;
const CLOSE_MS = 1_000;
const REQUEST_TIMEOUT_MS = 10_000;
const METADATA_MAX_AGE_MS = 60_000;
/** Short: whoever asks repeats it himself, and wants to hear of an outage. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 };

export class KafkaClient {
  readonly #options: ConstructorParameters<typeof KafkaCluster>[0];
  readonly #kafka: Kafka;
  readonly #sockets = new WeakMap<Cluster, Set<Socket>>();

  constructor({ brokers, clientId, tls, sasl, connect }: KafkaConnection, log: Logger) {
    // What kafkajs calls an error is mostly a broker that restarts. What matters is said by those who use it.
    const logCreator = () => (entry: { namespace: string; log: { message: string } }) => {
      log.debug({ kafkajs: entry.namespace, ...entry.log }, entry.log.message);
    };
    const open = connect ?? (defaultSocketFactory() as (request: SocketRequest) => Socket);
    const common = {
      brokers: [...brokers],
      clientId,
      ssl: tls,
      sasl: sasl as SASLOptions | undefined,
      socketFactory: (request: SocketRequest) => {
        const socket = open(request);
        // kafkajs unrefs a broken connection each time it gives it up, and Node keeps that for when it connects.
        return socket.setMaxListeners(0);
      },
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      enforceRequestTimeout: true,
      retry: RETRY,
    };
    this.#options = {
      ...common,
      logger: loggers.createLogger({ level: logLevel.INFO, logCreator }),
      metadataMaxAge: METADATA_MAX_AGE_MS,
      allowAutoTopicCreation: false,
    };
    const { ssl, sasl: _, ...plain } = common;
    this.#kafka = new Kafka({
      ...plain,
      ...(ssl && { ssl }),
      ...(common.sasl && { sasl: common.sasl }),
      logLevel: logLevel.INFO,
      logCreator,
    });
  }

  /**
   * Brokers and their protocol, with connections of its own: a fetch that waits holds up what comes behind it. `away` is
   * called where no broker answers.
   */
  async cluster(away: () => void = () => {}): Promise<Cluster> {
    const sockets = new Set<Socket>();
    const cluster = new KafkaCluster({
      ...this.#options,
      socketFactory: (request) => {
        const socket = this.#options.socketFactory(request);
        sockets.add(socket.once("close", () => sockets.delete(socket)));
        return socket;
      },
    });
    this.#sockets.set(cluster, sockets);
    try {
      await cluster.connect();
      return cluster;
    } catch (error) {
      away();
      await this.close(cluster);
      throw error;
    }
  }

  /** Waits for what brokers were asked, shortly. */
  async close(cluster: Cluster): Promise<void> {
    const patience = AbortSignal.timeout(CLOSE_MS);
    await Promise.race([cluster.disconnect().catch(() => {}), ended(patience)]);
    for (const socket of this.#sockets.get(cluster) ?? []) socket.destroy(new Error("given up"));
  }

  admin(): Admin {
    return this.#kafka.admin();
  }

  /** Of one key all go to one partition, the same as with Kafka's own clients (murmur2). */
  producer(): Producer {
    return this.#kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: RETRY,
    });
  }
}
