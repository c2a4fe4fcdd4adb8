/** Another service as Authz meets it: an instance with a contract that declares a model, and reflection that gives it. */
import { randomUUID } from "node:crypto";
import {
  create,
  createFileRegistry,
  type DescFile,
  type DescService,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileOptionsSchema } from "@bufbuild/protobuf/wkt";
import {
  AuthorizationModelSchema,
  file_switchboard_policy_v1_policy,
  model,
  type ObjectTypeSchema,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import { contractHash } from "@switchboard/kernel/rpc/contract-hash";
import { startServer } from "@switchboard/kernel/rpc/server";
import { createLogger } from "@switchboard/kernel/telemetry/logger";

export type ObjectType = MessageInitShape<typeof ObjectTypeSchema>;

export interface Neighbour extends AsyncDisposable {
  /** As it registers. */
  readonly instance: Instance;
}

let starts = 0;

/** @param service "notes": serves notes.v1.NotesService, whose file declares the types. */
export async function startNeighbour(service: string, types: readonly ObjectType[]): Promise<Neighbour> {
  const descriptor = contractOf(service, types);
  const rpcs = [{ descriptor, register: () => {} }];
  const server = await startServer({
    rpcs,
    host: "127.0.0.1",
    port: 0,
    log: createLogger({ level: "silent", service, instanceId: "test" }),
  });
  starts += 1;
  return {
    instance: {
      service,
      instanceId: randomUUID(),
      address: server.address,
      version: "test",
      contractHash: contractHash(rpcs),
      rpcServices: [descriptor.typeName],
      metadata: {},
      // Each later than the one before, as far apart as a clock may count.
      registerTime: Date.now() + starts,
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function contractOf(service: string, types: readonly ObjectType[]): DescService {
  const options = create(FileOptionsSchema);
  setExtension(options, model, create(AuthorizationModelSchema, { types: [...types] }));
  const name = `${service}.v1.${service[0]?.toUpperCase()}${service.slice(1)}Service`;
  const proto = create(FileDescriptorProtoSchema, {
    name: `${service}/v1/${service}_service.proto`,
    package: `${service}.v1`,
    syntax: "proto3",
    dependency: [file_switchboard_policy_v1_policy.proto.name],
    options,
    service: [{ name: name.slice(name.lastIndexOf(".") + 1) }],
  });
  const known = filesBelow(file_switchboard_policy_v1_policy);
  const found = createFileRegistry(proto, (file) => known.get(file)).getService(name);
  if (found === undefined) throw new Error(`${name} was not made`);
  return found;
}

function filesBelow(file: DescFile, found = new Map<string, DescFile>()): ReadonlyMap<string, DescFile> {
  found.set(file.proto.name, file);
  for (const dependency of file.dependencies) filesBelow(dependency, found);
  return found;
}
