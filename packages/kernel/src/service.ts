/** What a service is to the kernel: what `create<Name>Service(deps)` returns and `run-service.ts` runs. */
import { type DescMessage, type DescService, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Client, ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import type { Logger } from "pino";
import type { Bus } from "./bus/bus.ts";
import type { Database, Transaction } from "./database/database.ts";
import type { Writes } from "./database/write.ts";
import type { Instance, Registry } from "./registry/registry.ts";
import type { Authorizer } from "./rpc/authorizer.ts";
import type { State } from "./state/state.ts";

/** What a service gets. In a test each can be made by hand. */
export interface ServiceDeps {
  readonly database: Database;
  /** Makes writes safe to repeat; every handler that changes something goes through it. */
  readonly writes: Writes;
  readonly state: State;
  readonly log: Logger;
  /** Asks Authz; used beside the interceptor, for decisions that need more than the policy says. */
  readonly authorizer: Authorizer;
  /** A typed client of another service, over the network. */
  client<Desc extends DescService>(service: Desc): Client<Desc>;
  /** Unix milliseconds. */
  now(): number;
}

/** Deps that only Switchboard's own services need. */
export interface PlatformDeps extends ServiceDeps {
  readonly registry: Registry;
  readonly bus: Bus;
  /** The descriptors of the services that an instance is registered with, from its reflection. */
  contractOf(instance: Instance): Promise<readonly DescService[]>;
}

export interface Service {
  /** "identity": the registry's name, the database role, the topic. */
  readonly name: string;
  readonly rpcs: readonly Rpc[];
  readonly consumers?: readonly Consumer[];
  readonly jobs?: readonly Job[];
  /** Begins what runs beside the calls and is neither a consumer of single facts nor a job; it ends with the process. */
  start?(): Promise<AsyncDisposable>;
  /** What it still lacks before it can serve, for readiness; empty: nothing. */
  problems?(): readonly string[];
}

/** A service descriptor with its implementation; made by `rpc()`. */
export interface Rpc {
  readonly descriptor: DescService;
  register(router: ConnectRouter): void;
}

/** Pairs a descriptor with its implementation. Methods left out answer `unimplemented`. */
export function rpc<Desc extends DescService>(descriptor: Desc, implementation: Partial<ServiceImpl<Desc>>): Rpc {
  return { descriptor, register: (router) => void router.service(descriptor, implementation) };
}

/** Handles one type of fact of one topic, each once: in a transaction with an inbox row. */
export interface Consumer {
  /** The publishing service: "identity". Facts of that type in other topics are not believed. */
  readonly topic: string;
  readonly type: string;
  handle(event: EventEnvelope, tx: Transaction): Promise<void>;
}

/** A typed consumer. */
export function on<Desc extends DescMessage>(
  topic: string,
  schema: Desc,
  handle: (fact: MessageShape<Desc>, tx: Transaction, event: EventEnvelope) => Promise<void>,
): Consumer {
  return {
    topic,
    type: schema.typeName,
    handle: (event, tx) => handle(fromBinary(schema, event.data), tx, event),
  };
}

/** Repeated work. Of all instances of the service, one runs it at a time (advisory lock). */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  run(signal: AbortSignal): Promise<void>;
}
