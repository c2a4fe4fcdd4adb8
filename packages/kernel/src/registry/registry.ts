/** The registry port: which instances of which services are there. Drivers beside this file; their law in registry.law.ts. */

export interface Instance {
  /** "identity" */
  readonly service: string;
  /** A UUID, new with every start of a process. */
  readonly instanceId: string;
  /** host:port of the RPC port. */
  readonly address: string;
  /** The build that runs there: "0.1.0". */
  readonly version: string;
  /** SHA-256 over the descriptor set, lower-case hex; see rpc/contract-hash.ts. */
  readonly contractHash: string;
  /** Full names of the services it serves: "switchboard.identity.v1.IdentityService". */
  readonly rpcServices: readonly string[];
  /** Free for operators and drivers: "zone", "weight". */
  readonly metadata: Readonly<Record<string, string>>;
  /** When it registered, by the engine's clock. Unix milliseconds. */
  readonly registerTime: number;
}

export type Registration = Omit<Instance, "registerTime">;

/** A registration in force. The driver renews it by itself, re-registers where the engine forgot it, until it is ended. */
export interface Lease {
  /** Ends the registration: watchers hear of it within a second. Never fails; an engine that is away lets it lapse. */
  end(): Promise<void>;
}

/** A list that the driver keeps current. */
export interface Watch<T> extends Disposable {
  /** The last known value; empty until the first answer. While the engine is away it is the last good one. */
  current(): readonly T[];
  /** Milliseconds since the engine last confirmed `current()`; Infinity before the first answer. */
  ageMs(): number;
  /** Resolves with the first answer. */
  readonly ready: Promise<void>;
  /** Calls back with every new value, never with the present one. Returns the way to stop. */
  subscribe(listener: (values: readonly T[]) => void): () => void;
}

export interface Registry extends AsyncDisposable {
  /**
   * Makes an instance known for as long as its lease is renewed (10 s, renewed every 3 s).
   * After an outage of the engine nobody lapses before a full lease has passed since its return. Waits for an engine that
   * is away; closing the registry ends the wait with AppError DRAINING.
   * @throws AppError PACKAGE_NOT_OWNED where a package of `rpcServices` does not belong to this credential.
   */
  register(registration: Registration): Promise<Lease>;
  /** The healthy instances of one service, ordered by instanceId. A change is seen within a second. */
  watchInstances(service: string): Watch<Instance>;
  /** The healthy instances of all services, ordered by service, then instanceId. */
  watchAll(): Watch<Instance>;
  /** Undefined: working. Otherwise what it lacks, for readiness. */
  problem(): string | undefined;
}
