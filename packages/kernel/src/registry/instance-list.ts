/** The one list behind all watches of a process. A driver keeps it current; it knows no engine. */
import type { Logger } from "pino";
import type { Instance, Watch } from "./registry.ts";

export class InstanceList {
  #instances: readonly Instance[] = [];
  /** By performance.now(). */
  #confirmTime = Number.NEGATIVE_INFINITY;
  readonly #first = Promise.withResolvers<void>();
  readonly #views = new Set<View>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The engine's answer, in the order that `watchAll` promises. Watchers hear of it only where something differs. */
  confirm(instances: readonly Instance[]): void {
    this.#confirmTime = performance.now();
    this.#first.resolve();
    if (instances === this.#instances) return;
    this.#instances = instances;
    for (const view of this.#views) view.update(instances);
  }

  /** All instances, or those of one service. */
  watch(service?: string): Watch<Instance> {
    const view: View = new View(service, {
      ready: this.#first.promise,
      ageMs: () => performance.now() - this.#confirmTime,
      end: () => this.#views.delete(view),
      fault: (error) => this.#log.error({ err: error }, "a listener of the registry failed"),
    });
    view.update(this.#instances);
    this.#views.add(view);
    return view;
  }
}

interface Source {
  readonly ready: Promise<void>;
  ageMs(): number;
  end(): void;
  fault(error: unknown): void;
}

class View implements Watch<Instance> {
  readonly ready: Promise<void>;
  readonly #service: string | undefined;
  readonly #source: Source;
  readonly #listeners = new Set<(values: readonly Instance[]) => void>();
  #values: readonly Instance[] = [];
  #text = "[]";

  constructor(service: string | undefined, source: Source) {
    this.#service = service;
    this.#source = source;
    this.ready = source.ready;
  }

  update(instances: readonly Instance[]): void {
    const values = instances.filter(({ service }) => this.#service === undefined || service === this.#service);
    const text = JSON.stringify(values);
    if (text === this.#text) return;
    this.#values = Object.freeze(values);
    this.#text = text;
    for (const listener of this.#listeners) {
      try {
        listener(this.#values);
      } catch (error) {
        this.#source.fault(error);
      }
    }
  }

  current(): readonly Instance[] {
    return this.#values;
  }

  ageMs(): number {
    return this.#source.ageMs();
  }

  subscribe(listener: (values: readonly Instance[]) => void): () => void {
    // A subscription is its own, even where the same function subscribes twice.
    const own = (values: readonly Instance[]) => listener(values);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#source.end();
  }
}
