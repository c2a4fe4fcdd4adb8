/** Where a method stands in its .proto file. Generated TypeScript has no positions; a descriptor set written by buf has. */
import { readFileSync } from "node:fs";
import { type DescMethod, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The platform's own descriptor set, beside the generated code. */
const platformSet = new URL(
  "../../../../switchboard.binpb",
  import.meta.resolve("@switchboard/gen/switchboard/policy/v1/policy_pb"),
);

/** "switchboard/identity/v1/identity_service.proto:67", or the file alone where no set knows the method. */
export function positionOf(method: DescMethod, descriptorSets: readonly (string | URL)[]): string {
  const file = `${method.parent.file.name}.proto`;
  for (const path of [...descriptorSets, platformSet]) {
    const line = lineIn(path, file, method);
    if (line !== undefined) return `${file}:${line}`;
  }
  return file;
}

function lineIn(path: string | URL, fileName: string, method: DescMethod): number | undefined {
  const proto = readSet(path)?.file.find((candidate) => candidate.name === fileName);
  const shortName = method.parent.proto.name;
  const service = proto?.service.findIndex((candidate) => candidate.name === shortName) ?? -1;
  const index = proto?.service[service]?.method.findIndex((candidate) => candidate.name === method.name) ?? -1;
  if (proto === undefined || index < 0) return undefined;
  // FileDescriptorProto.service is field 6, ServiceDescriptorProto.method field 2 (descriptor.proto, SourceCodeInfo).
  const wanted = `6,${service},2,${index}`;
  const span = proto.sourceCodeInfo?.location.find((location) => location.path.join() === wanted)?.span;
  return span?.[0] === undefined ? undefined : span[0] + 1;
}

/** A set that cannot be read costs the line, never the fault that the line was wanted for. */
function readSet(path: string | URL) {
  try {
    return fromBinary(FileDescriptorSetSchema, readFileSync(path));
  } catch {
    return undefined;
  }
}
