/** The name of a contract: two instances with the same hash serve the same methods with the same policies. */
import { createHash } from "node:crypto";
import { clone, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** The files of the services and everything they import, each once, by name. */
export function filesOf(
  services: Iterable<{ readonly descriptor: Pick<DescService, "file"> }>,
): ReadonlyMap<string, DescFile> {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    const name = file.proto.name;
    if (files.has(name)) return;
    files.set(name, file);
    file.dependencies.forEach(visit);
  };
  for (const { descriptor } of services) visit(descriptor.file);
  return files;
}

/** SHA-256 over the FileDescriptorProtos of `filesOf`, sorted by name, without source info; lower-case hex. */
export function contractHash(services: Iterable<{ readonly descriptor: DescService }>): string {
  const hash = createHash("sha256");
  for (const [, file] of [...filesOf(services)].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(descriptorBytes(file));
  return hash.digest("hex");
}

/** A file's FileDescriptorProto as bytes, without source info. */
export function descriptorBytes(file: DescFile): Uint8Array<ArrayBuffer> {
  const proto = clone(FileDescriptorProtoSchema, file.proto);
  proto.sourceCodeInfo = undefined;
  return toBinary(FileDescriptorProtoSchema, proto);
}
