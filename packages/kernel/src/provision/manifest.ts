/** What provisioning is told on standard input: the services of the platform, their packages and their roles' passwords. */
import { z } from "zod";

/** Role and schema names that the platform, its drivers or PostgreSQL itself use. */
const RESERVED = /^(postgres|public|default|none|information_schema|registry|bus|state|pg_.*|switchboard_.*|.*_owner)$/;

/** Printable ASCII: SASLprep (RFC 4013) leaves it as it is, so that every client derives the same keys. */
const password = z.string().regex(/^[\x20-\x7e]{1,256}$/, "must be 1 to 256 printable ASCII characters");

const service = z.strictObject({
  /** The registry's name, the runtime role, the schema. The role `<name>_owner` migrates the schema. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,30}$/, "must be 1 to 31 of a-z, 0-9 and _, the first a letter")
    .refine((name) => !RESERVED.test(name), "is reserved"),
  /** The protobuf packages that only this service may serve: "switchboard.identity.v1". */
  packages: z.array(
    z.string().regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/, "must be a protobuf package, as in switchboard.identity.v1"),
  ),
  password,
  ownerPassword: password,
  /** The secret of its token in Consul. */
  consulToken: z.uuid().optional(),
  /** Of its user in Redis. */
  redisPassword: password.optional(),
});

export type ServiceEntry = z.infer<typeof service>;

const manifest = z
  .strictObject({ services: z.array(service).min(1, "must name a service") })
  .superRefine((read, check) => {
    const seen = new Map<string, string>();
    const once = (what: string, name: string, path: (string | number)[]) => {
      const first = seen.get(`${what} ${name}`);
      if (first === undefined) seen.set(`${what} ${name}`, path.join("."));
      else check.addIssue({ code: "custom", path, message: `the ${what} ${name} is at ${first} already` });
    };
    read.services.forEach(({ name, packages }, index) => {
      once("service", name, ["services", index, "name"]);
      packages.forEach((owned, position) => {
        once("package", owned, ["services", index, "packages", position]);
      });
    });
  });

/** The manifest cannot be used. The message lists every fault, a line each, and never a password. */
export class ManifestFault extends Error {
  override readonly name = "ManifestFault";
}

/** @throws ManifestFault */
export function readManifest(text: string): readonly ServiceEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and with it a password.
    throw new ManifestFault("the manifest on standard input is not JSON");
  }
  const result = manifest.safeParse(json);
  if (result.success) return result.data.services;
  const faults = result.error.issues.map((issue) => `  ${issue.path.join(".") || "the manifest"}: ${issue.message}`);
  throw new ManifestFault(`the manifest cannot be used:\n${faults.join("\n")}`);
}
