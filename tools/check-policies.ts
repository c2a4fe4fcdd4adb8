/** Every method of every service in `proto/` has a policy, and each policy makes sense: file, line and the mend. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { PolicyFault, resolvePolicy } from "@switchboard/contract/policy";

const set = fromBinary(FileDescriptorSetSchema, readFileSync(join(import.meta.dirname, "../gen/switchboard.binpb")));
const registry = createFileRegistry(set);
let faults = 0;
for (const file of set.file.filter(({ package: name }) => name.startsWith("switchboard."))) {
  for (const [s, service] of file.service.entries()) {
    for (const [m] of service.method.entries()) {
      const method = registry.getService(`${file.package}.${service.name}`)?.methods[m];
      try {
        if (method) resolvePolicy(method);
      } catch (fault) {
        if (!(fault instanceof PolicyFault)) throw fault;
        faults += 1;
        const position = file.sourceCodeInfo?.location.find(({ path }) => path.join() === `6,${s},2,${m}`);
        console.error(`proto/${file.name}:${(position?.span[0] ?? -1) + 1}: ${fault.message}`);
      }
    }
  }
}
process.exitCode = faults === 0 ? 0 : 1;
