/** Buses over one real Kafka: each world has names of its own in it, and connections that can be broken. */
import { type Socket, connect as tcp } from "node:net";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { type KafkaOptions, type KafkaServer, startKafka } from "@switchboard/engines/kafka";
import { findKafka } from "@switchboard/engines/kafka-program";
import { pino } from "pino";
import type { Bus } from "../bus.ts";
import { type KafkaBusOptions, openKafkaBus } from "../kafka.ts";
import type { BusWorld } from "../law/world.ts";

// biome-ignore lint/style/noProcessEnv: where engines are is the machine's setting.
const env = process.env;
const home = engineHome(env);

export const skip = skipWithout("Kafka", (await findKafka(home)) !== undefined, env);

export function startEngine(options: Omit<KafkaOptions, "home"> = {}): Promise<KafkaServer> {
  return startKafka({ home, ...options });
}

/** So that a test need not wait for what takes seconds elsewhere. */
export const quick = {
  topics: { partitions: 4 },
  timing: { sessionTimeoutMs: 2_000, heartbeatMs: 100, rebalanceTimeoutMs: 2_000 },
} satisfies Partial<KafkaBusOptions>;

export interface KafkaWorld extends BusWorld {
  readonly prefix: string;
  open(service: string, options?: Partial<KafkaBusOptions>): Bus;
  /** Bytes that a service's connections have received. */
  received(service: string): number;
}

export function openWorld(brokers: string, prefix = `law-${crypto.randomUUID()}`): KafkaWorld {
  const buses: Bus[] = [];
  const sockets = new Map<string, Set<Socket>>();
  const socketsOf = (service: string) => {
    const known = sockets.get(service) ?? new Set();
    sockets.set(service, known);
    return known;
  };
  const received = new Map<string, number>();
  return {
    prefix,
    received: (service) => received.get(service) ?? 0,
    open(service, options = {}) {
      const bus = openKafkaBus({
        brokers: [brokers],
        service,
        prefix,
        log: pino({ level: "silent" }),
        connect({ host, port, onConnect }) {
          const socket = tcp({ host, port }, onConnect);
          socketsOf(service).add(socket.once("close", () => socketsOf(service).delete(socket)));
          socket.on("data", ({ length }) => received.set(service, (received.get(service) ?? 0) + length));
          return socket;
        },
        ...quick,
        ...options,
      });
      buses.push(bus);
      return bus;
    },
    async cut(service) {
      for (const socket of socketsOf(service)) socket.destroy(new Error("cut"));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(buses.map((bus) => bus[Symbol.asyncDispose]()));
    },
  };
}
