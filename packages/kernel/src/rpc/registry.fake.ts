/** A registry in memory, for tests: what is put into it is there at once, for everybody who watches. */
import type { Instance, Registry, Watch } from "../registry/registry.ts";

export interface FakeRegistry extends Registry {
  /** Makes these the instances of all services. */
  set(...instances: readonly Instance[]): void;
}

export function fakeRegistry(...initial: readonly Instance[]): FakeRegistry {
  let instances: readonly Instance[] = initial;
  const listeners = new Set<() => void>();
  const set = (next: readonly Instance[]) => {
    instances = next;
    for (const listener of listeners) listener();
  };
  const watch = (belongs: (instance: Instance) => boolean): Watch<Instance> => {
    const current = () => instances.filter(belongs);
    const own = new Set<() => void>();
    return {
      current,
      ageMs: () => 0,
      ready: Promise.resolve(),
      subscribe(listener) {
        const call = () => listener(current());
        own.add(call);
        listeners.add(call);
        return () => void listeners.delete(call);
      },
      [Symbol.dispose]() {
        for (const call of own) listeners.delete(call);
      },
    };
  };
  return {
    set: (...next) => set(next),
    async register(registration) {
      const instance = { ...registration, registerTime: Date.now() };
      set([...instances, instance]);
      return { end: async () => set(instances.filter((other) => other !== instance)) };
    },
    watchInstances: (service) => watch((instance) => instance.service === service),
    watchAll: () => watch(() => true),
    problem: () => undefined,
    async [Symbol.asyncDispose]() {
      listeners.clear();
    },
  };
}
