/** Contracts as they look from outside: without the methods that only services may call. For reflection, not for routing. */
import {
  clone,
  create,
  createFileRegistry,
  type DescFile,
  type DescMethod,
  type DescService,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { PolicyFault, type PolicyOverlay, resolvePolicy } from "@switchboard/contract/policy";
import { filesOf } from "@switchboard/kernel/rpc/contract-hash";

/** The services that have a method left, each once. */
export function outsideView(
  contracts: readonly (readonly DescService[])[],
  overlay?: PolicyOverlay,
): { descriptor: DescService }[] {
  const isHidden = (method: DescMethod) => !isSeen(method, overlay);
  const services = new Map<string, DescService>();
  for (const contract of contracts) {
    const files = [...filesOf(contract.map((descriptor) => ({ descriptor }))).values()];
    const hidden = new Set(contract.flatMap((service) => service.methods.filter(isHidden).map(nameOf)));
    const registry = createFileRegistry(
      create(FileDescriptorSetSchema, { file: inOrder(files).map((file) => withoutMethods(file, hidden)) }),
    );
    for (const { typeName } of contract) {
      const service = registry.getService(typeName);
      if (service && service.methods.length > 0 && !services.has(typeName)) services.set(typeName, service);
    }
  }
  return [...services.values()].map((descriptor) => ({ descriptor }));
}

function isSeen(method: DescMethod, overlay: PolicyOverlay | undefined): boolean {
  try {
    return resolvePolicy(method, overlay).access !== "internal";
  } catch (fault) {
    if (fault instanceof PolicyFault) return false;
    throw fault;
  }
}

function nameOf({ parent, name }: { readonly parent: DescService; readonly name: string }): string {
  return `${parent.typeName}/${name}`;
}

function withoutMethods({ proto }: DescFile, hidden: ReadonlySet<string>): DescFile["proto"] {
  const copy = clone(FileDescriptorProtoSchema, proto);
  for (const service of copy.service) {
    const typeName = copy.package === "" ? service.name : `${copy.package}.${service.name}`;
    service.method = service.method.filter((method) => !hidden.has(`${typeName}/${method.name}`));
  }
  return copy;
}

/** Each file behind those that it imports. */
function inOrder(files: readonly DescFile[]): readonly DescFile[] {
  const ordered = new Set<DescFile>();
  const visit = (file: DescFile) => {
    if (ordered.has(file)) return;
    file.dependencies.forEach(visit);
    ordered.add(file);
  };
  files.forEach(visit);
  return [...ordered];
}
