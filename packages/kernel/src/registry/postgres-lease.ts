/** A registration in PostgreSQL that is kept: renewed, made again where the engine forgot it, ended. */
import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";
import { isConnectionFailure } from "../database/failure.ts";
import type { SteadyConnection } from "../database/steady-connection.ts";
import type { Lease, Registration } from "./registry.ts";

export interface LeaseOptions {
  readonly connection: SteadyConnection;
  readonly registration: Registration;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly log: Logger;
}

/** The function's own SQLSTATE; see postgres/0001-registry.sql. */
const PACKAGE_NOT_OWNED = "SB030";
const RETRY_MS = 250;
/** Ending waits no longer for an engine that does not answer: the lease lapses by itself. */
const END_MS = 1_000;

export class PostgresLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #ended = new AbortController();
  #keeping: Promise<void> | undefined;
  /** Why the registration is not in force; undefined: it is, as far as anybody knows. */
  problem: string | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Registers and begins to renew. Waits for an engine that is away. @throws AppError PACKAGE_NOT_OWNED */
  async begin(): Promise<void> {
    while (!(await this.#register())) {
      await this.#pause(RETRY_MS);
      if (this.#ended.signal.aborted) {
        throw new AppError("DRAINING", "the process stops before it could be registered");
      }
    }
    this.#keeping = this.#keep();
  }

  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    const { connection, registration } = this.#options;
    const deregister = async () => {
      await this.#keeping;
      await connection.query("select registry.deregister($1)", [registration.instanceId]);
    };
    const bound = new AbortController();
    await Promise.race([
      deregister().catch(() => {}),
      delay(END_MS, undefined, { signal: bound.signal }).catch(() => {}),
    ]);
    bound.abort();
  }

  async #keep(): Promise<void> {
    const { connection, registration, renewMs, log } = this.#options;
    for (let waitMs = renewMs; ; ) {
      await this.#pause(waitMs);
      if (this.#ended.signal.aborted) return;
      try {
        const [row] = await connection.query<{ known: boolean }>("select registry.renew($1) as known", [
          registration.instanceId,
        ]);
        const inForce = row?.known === true || (!this.#ended.signal.aborted && (await this.#register()));
        waitMs = inForce ? renewMs : RETRY_MS;
        if (inForce) this.problem = undefined;
      } catch (error) {
        waitMs = RETRY_MS;
        if (isConnectionFailure(error)) continue;
        if (this.problem === undefined) log.error({ err: error }, "the registration cannot be renewed");
        this.problem = "the registration was refused";
        waitMs = renewMs;
      }
    }
  }

  /** False: the engine is away. */
  async #register(): Promise<boolean> {
    const { connection, registration, leaseMs } = this.#options;
    const { instanceId, address, version, contractHash, rpcServices, metadata } = registration;
    try {
      await connection.query("select registry.register($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8)", [
        registration.service,
        instanceId,
        address,
        version,
        contractHash,
        rpcServices,
        JSON.stringify(metadata),
        leaseMs,
      ]);
      return true;
    } catch (error) {
      if (isConnectionFailure(error)) return false;
      if ((error as { code?: unknown }).code !== PACKAGE_NOT_OWNED) throw error;
      throw new AppError(
        "PACKAGE_NOT_OWNED",
        `${registration.service} may not register these services: give it their packages when the database is provisioned`,
        { cause: error },
      );
    }
  }

  async #pause(ms: number): Promise<void> {
    const jittered = ms * (0.9 + Math.random() * 0.2);
    await delay(jittered, undefined, { signal: this.#ended.signal }).catch(() => {});
  }
}
