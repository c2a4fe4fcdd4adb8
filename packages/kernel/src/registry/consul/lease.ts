/** A registration in Consul that is kept: renewed, made again where the agent forgot it, ended. */
import { setTimeout as delay } from "node:timers/promises";
import { AppError } from "@switchboard/contract/app-error";
import type { Logger } from "pino";
import type { Lease, Registration } from "../registry.ts";
import { type Answer, type ConsulClient, ConsulRefusal } from "./client.ts";
import { OWNERS_KEY, ownedServices, parseOwners } from "./package-owners.ts";
import { NotProvisioned, problemOf } from "./problem.ts";
import { type ConsulService, checkIdOf, fromService, type ServiceDefinition, toDefinition } from "./service-entry.ts";

export interface LeaseOptions {
  readonly client: ConsulClient;
  readonly registration: Registration;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly log: Logger;
}

const RETRY_MS = 250;
/** A refusal passes too: an agent that starts knows its tokens only when its servers have a leader. */
const REFUSED_MS = 1_000;
/** Ending waits no longer for an agent that does not answer: the lease lapses by itself. */
const END_MS = 1_000;

export class ConsulLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #ended = new AbortController();
  #definition: ServiceDefinition | undefined;
  #work: Promise<void> = Promise.resolve();
  /** Why the registration is not in force; undefined: it is, as far as anybody knows. */
  problem: string | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Registers and begins to renew. Waits for an agent that is away. @throws AppError PACKAGE_NOT_OWNED */
  async begin(): Promise<void> {
    const begun = this.#begin();
    this.#work = begun.catch(() => {});
    await begun;
    if (!this.#ended.signal.aborted) this.#work = this.#keep();
  }

  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    const bound = new AbortController();
    await Promise.race([
      this.#deregister().catch(() => {}),
      delay(END_MS, undefined, { signal: bound.signal }).catch(() => {}),
    ]);
    bound.abort();
  }

  async #begin(): Promise<void> {
    for (;;) {
      if (this.#ended.signal.aborted) throw new AppError("DRAINING", "the process stops before it could be registered");
      try {
        this.#definition ??= await this.#prepare();
        await this.#register(this.#definition);
        this.problem = undefined;
        return;
      } catch (error) {
        if (error instanceof AppError) throw error;
        if (error instanceof ConsulRefusal && !error.tokenUnknown)
          throw error.status === 403 ? this.#refused(error) : error;
        this.problem = problemOf(error);
      }
      await this.#pause(RETRY_MS);
    }
  }

  /** What is asked once: whose the packages are, and since when the instance is known. */
  async #prepare(): Promise<ServiceDefinition> {
    const { client, registration, leaseMs } = this.#options;
    const { service, rpcServices } = registration;
    if (rpcServices.length > 0) {
      const { kv } = client.api;
      const owners: Answer<{ Value: string } | undefined> = await client.call(kv, kv.get, { key: OWNERS_KEY });
      if (owners.value === undefined) throw new NotProvisioned();
      const owned = ownedServices(parseOwners(owners.value.Value), service, rpcServices);
      if (owned.length < rpcServices.length) throw this.#refused(undefined);
    }
    const definition = toDefinition(registration, leaseMs, 0);
    const own = await this.#ownServices();
    const before = own.value.find(({ ID }) => ID === definition.id);
    // Nobody else can be at this address: an earlier process of this service was there and died.
    const dead = own.value.filter(
      ({ ID, Address, Port }) => ID !== definition.id && Address === definition.address && Port === definition.port,
    );
    for (const { ID } of dead) await this.#forget(ID);
    const since = before && fromService(before)?.instance.registerTime;
    return toDefinition(registration, leaseMs, since ?? own.timeMs ?? Date.now());
  }

  async #ownServices(): Promise<Answer<readonly ConsulService[]>> {
    const { client, registration } = this.#options;
    const { service } = client.api.agent;
    const filter = `Service == ${JSON.stringify(registration.service)}`;
    const answer = await client.call<Record<string, ConsulService>>(service, service.list, { filter });
    return { ...answer, value: Object.values(answer.value ?? {}) };
  }

  async #keep(): Promise<void> {
    const { renewMs, log } = this.#options;
    const definition = this.#definition as ServiceDefinition;
    for (let waitMs = renewMs; ; ) {
      await this.#pause(waitMs);
      if (this.#ended.signal.aborted) return;
      try {
        if (!(await this.#renew(definition)) && !this.#ended.signal.aborted) await this.#register(definition);
        this.problem = undefined;
        waitMs = renewMs;
      } catch (error) {
        const refused = error instanceof ConsulRefusal;
        if (refused && this.problem === undefined) log.error({ err: error }, "the registration cannot be renewed");
        this.problem = problemOf(error);
        waitMs = refused ? Math.min(REFUSED_MS, renewMs) : RETRY_MS;
      }
    }
  }

  /** False: the agent knows no such instance, or cannot say. */
  async #renew(definition: ServiceDefinition): Promise<boolean> {
    const { client } = this.#options;
    const { check } = client.api.agent;
    try {
      await client.call(check, check.pass, { id: checkIdOf(definition.id) });
      return true;
    } catch (error) {
      // Versions differ in how they say that a check is unknown; an agent that is away fails the registration too.
      if (error instanceof ConsulRefusal && error.status === 403) throw error;
      return false;
    }
  }

  async #register(definition: ServiceDefinition): Promise<void> {
    const { client } = this.#options;
    const { service } = client.api.agent;
    await client.call(service, service.register, definition);
  }

  async #deregister(): Promise<void> {
    await this.#work;
    if (this.#definition) await this.#forget(this.#definition.id);
  }

  async #forget(id: string): Promise<void> {
    const { client } = this.#options;
    const { service } = client.api.agent;
    await client.call(service, service.deregister, { id });
  }

  #refused(cause: ConsulRefusal | undefined): AppError {
    const { service } = this.#options.registration;
    return new AppError(
      "PACKAGE_NOT_OWNED",
      `${service} may not register these services: give it their packages and its own token when Consul is provisioned`,
      { cause },
    );
  }

  async #pause(ms: number): Promise<void> {
    const jittered = ms * (0.9 + Math.random() * 0.2);
    await delay(jittered, undefined, { signal: this.#ended.signal }).catch(() => {});
  }
}
