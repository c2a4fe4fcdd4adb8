/** Which contract of each registered service counts: that of the instance that registered last. */
import type { Instance } from "@switchboard/kernel/registry/registry";

/** One contract of one service, and the instances that have it, the newest first. */
export interface Contract {
  readonly service: string;
  readonly contractHash: string;
  readonly instances: readonly Instance[];
}

export function newestContracts(instances: readonly Instance[]): readonly Contract[] {
  const contracts = new Map<string, Contract & { readonly instances: Instance[] }>();
  const newestFirst = instances.toSorted(
    (a, b) => b.registerTime - a.registerTime || (a.instanceId < b.instanceId ? 1 : -1),
  );
  for (const instance of newestFirst) {
    const { service, contractHash } = instance;
    const contract = contracts.get(service) ?? { service, contractHash, instances: [] };
    contracts.set(service, contract);
    if (contractHash === contract.contractHash) contract.instances.push(instance);
  }
  return [...contracts.values()];
}

/** The same for two contracts only where they are the same. */
export function nameOf({ service, contractHash }: Pick<Contract, "service" | "contractHash">): string {
  return `${service} ${contractHash}`;
}
