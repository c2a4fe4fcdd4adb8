/**
 * The administrator's step before the platform runs: roles, schemas, the drivers' tables, and which service owns which
 * protobuf package. Repeating it is harmless, two at once too. It makes no service's own tables: their owners migrate.
 */
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { applyMigrations, readMigrations } from "../database/migrate.ts";
import type { ServiceEntry } from "./manifest.ts";
import { DRIVER_ROLE, DRIVER_SCHEMAS, makeRoles } from "./roles.ts";

/** Held for the whole run; locks of this kind belong to one database. */
const LOCK = 7_734_001;

/** A package belongs to another service than the manifest says. */
export class PackageConflict extends Error {
  override readonly name = "PackageConflict";
}

/**
 * @throws PackageConflict where a package belongs to a service that this manifest does not name; with both in one
 * manifest it moves.
 */
export async function provision(adminUrl: string, services: readonly ServiceEntry[]): Promise<void> {
  const common = { max: 1, connect_timeout: 10, onnotice: () => {} };
  const admin = postgres(adminUrl, common);
  const driver = postgres(adminUrl, { ...common, connection: { role: DRIVER_ROLE } });
  try {
    await admin`select pg_advisory_lock(${LOCK})`;
    await makeRoles(admin, services);
    for (const schema of DRIVER_SCHEMAS) {
      await applyMigrations({ sql: driver, schema, files: await readMigrations(folder(schema)) });
    }
    await claimPackages(admin, services);
  } finally {
    await Promise.all([admin.end({ timeout: 5 }), driver.end({ timeout: 5 })]);
  }
}

function folder(schema: string): string {
  return join(import.meta.dirname, "..", schema, "postgres");
}

async function claimPackages(sql: Sql, services: readonly ServiceEntry[]): Promise<void> {
  const claims = services.flatMap(({ name, packages }) => packages.map((owned) => ({ package: owned, service: name })));
  await sql.begin(async (tx) => {
    await tx`delete from registry.package_owner where service in ${tx(services.map(({ name }) => name))}`;
    if (claims.length === 0) return;
    const foreign = await tx<{ package: string; service: string }[]>`
      select package, service from registry.package_owner where package in ${tx(claims.map((claim) => claim.package))}`;
    if (foreign.length > 0) {
      const faults = foreign.map((found) => `  ${found.package} belongs to ${found.service}`);
      throw new PackageConflict(`packages belong to one service each:\n${faults.join("\n")}`);
    }
    await tx`insert into registry.package_owner ${tx(claims)}`;
  });
}
