/** Which processes there are: every folder of `services/`, and the gateway, says in its package.json what it is. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

export interface ServiceManifest {
  /** "identity" */
  readonly name: string;
  /** The protobuf packages that it alone may serve. */
  readonly packages: readonly string[];
  /** Its entry point, absolute. */
  readonly main: string;
}

const packageJson = z.object({
  switchboard: z.object({
    service: z.string().regex(/^[a-z][a-z0-9_]{0,30}$/, "must be lower-case letters, digits and underscores"),
    packages: z.array(z.string()).min(1),
  }),
});

/** The services in the order in which they start; the gateway is the last. */
export async function readManifests(
  root: string,
  extraServices: readonly string[],
): Promise<readonly ServiceManifest[]> {
  const own = (await readdir(join(root, "services"))).sort().map((name) => join("services", name));
  const manifests: ServiceManifest[] = [];
  for (const folder of [...own, ...extraServices, "gateway"]) {
    const file = join(root, folder, "package.json");
    const text = await readFile(file, "utf8").catch((cause) => {
      throw new Error(`${folder} is no service: it has no package.json`, { cause });
    });
    const parsed = packageJson.safeParse(JSON.parse(text));
    if (!parsed.success) {
      throw new Error(
        `${folder}/package.json: "switchboard" must be {"service": name, "packages": [protobuf packages]}`,
      );
    }
    const { service, packages } = parsed.data.switchboard;
    if (manifests.some((other) => other.name === service)) throw new Error(`two services are called ${service}`);
    manifests.push({ name: service, packages, main: join(root, folder, "src", "main.ts") });
  }
  return manifests;
}
