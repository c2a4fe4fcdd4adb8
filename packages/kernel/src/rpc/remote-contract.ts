/**
 * The contract of a running instance, learnt from its reflection (grpc.reflection.v1). The gateway reads policies out of
 * it, Authz reads models. Only services that the registration lists are believed: those that its credential owns.
 */
import { create, createFileRegistry, type DescService, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import { ServerReflection, type ServerReflectionRequest } from "@switchboard/gen/grpc/reflection/v1/reflection_pb";
import type { Logger } from "pino";
import type { Instance } from "../registry/registry.ts";
import { openEndpoint } from "./endpoint.ts";
import type { ChannelTls } from "./session.ts";

export interface RemoteContractOptions {
  readonly log: Logger;
  readonly now: () => number;
  readonly tls?: ChannelTls | undefined;
  /** How long the whole of it may take. Default 5,000. */
  readonly timeoutMs?: number;
}

type Question = ServerReflectionRequest["messageRequest"];

/** More questions than this asks no honest instance. */
const MAX_QUESTIONS = 1_000;

/** The descriptors of `instance.rpcServices`. @throws Error where the instance does not answer, or not with all of them. */
export async function fetchContract(
  instance: Instance,
  { log, now, tls, timeoutMs = 5_000 }: RemoteContractOptions,
): Promise<readonly DescService[]> {
  const endpoint = openEndpoint(instance, { log, now, tls });
  try {
    const call = { bidi: true, repeatable: true, resendable: () => false };
    return await endpoint.attempt(call, (transport) => read(transport, instance, AbortSignal.timeout(timeoutMs)));
  } finally {
    endpoint.destroy();
  }
}

async function read(transport: Transport, instance: Instance, signal: AbortSignal): Promise<readonly DescService[]> {
  const files = new Map<string, FileDescriptorProto>();
  const asked = new Set<string>();
  let answered = Promise.withResolvers<void>();
  const nextQuestion = (): Question | undefined => {
    const service = instance.rpcServices.find((name) => !asked.has(name));
    if (service !== undefined) {
      asked.add(service);
      return { case: "fileContainingSymbol", value: service };
    }
    // Servers may give a file without the files it imports.
    const missing = [...files.values()].flatMap((file) => file.dependency).find((name) => !files.has(name));
    if (missing === undefined) return undefined;
    if (asked.has(missing)) throw new Error(`its reflection does not give ${missing}`);
    asked.add(missing);
    return { case: "fileByFilename", value: missing };
  };
  async function* questions() {
    for (let count = 0; count < MAX_QUESTIONS; count++) {
      const messageRequest = nextQuestion();
      if (messageRequest === undefined) return;
      answered = Promise.withResolvers();
      yield { messageRequest };
      await answered.promise;
    }
    throw new Error("its contract has too many files");
  }
  const reflection = createClient(ServerReflection, transport);
  for await (const { messageResponse } of reflection.serverReflectionInfo(questions(), { signal })) {
    if (messageResponse.case !== "fileDescriptorResponse") {
      const why = messageResponse.case === "errorResponse" ? messageResponse.value.errorMessage : "no file came";
      throw new Error(`its reflection refuses: ${why}`);
    }
    for (const bytes of messageResponse.value.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      if (!files.has(file.name)) files.set(file.name, file);
    }
    answered.resolve();
  }
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(files) }));
  return instance.rpcServices.map((name) => {
    const service = registry.getService(name);
    if (service === undefined) throw new Error(`it is registered with ${name}, which its reflection does not have`);
    return service;
  });
}

/** Each file behind those that it imports. */
function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visiting = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto) => {
    if (ordered.has(file)) return;
    if (visiting.has(file)) throw new Error(`its file ${file.name} imports itself`);
    visiting.add(file);
    for (const name of file.dependency) {
      const imported = files.get(name);
      if (imported) visit(imported);
    }
    ordered.add(file);
  };
  for (const file of files.values()) visit(file);
  return [...ordered];
}
