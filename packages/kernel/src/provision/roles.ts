/**
 * Roles, schemas and grants: who may log in and what they reach. Roles belong to the whole cluster, schemas and grants to
 * one database; so a role that is there already is normal, and another database's run may change it at the same moment.
 */
import { setTimeout as delay } from "node:timers/promises";
import postgres, { type Sql, type TransactionSql } from "postgres";
import type { ServiceEntry } from "./manifest.ts";
import { scramVerifier } from "./scram-verifier.ts";

/** Owns the drivers' schemas; nobody logs in as it. The drivers' SECURITY DEFINER functions run with its rights. */
export const DRIVER_ROLE = "switchboard_driver";
/** Every runtime role is a member: the drivers' functions are granted to it. */
export const SERVICE_ROLE = "switchboard_service";
/** The schemas of the drivers, each with its statements in `<name>/postgres/*.sql`. */
export const DRIVER_SCHEMAS = ["registry", "bus", "state"] as const;

/** unique_violation, duplicate_object and "tuple concurrently updated": a run on another database of the cluster won. */
const LOST_RACE = new Set(["23505", "42710", "XX000"]);
const ATTEMPTS = 20;

/** Makes what is missing and corrects the rest, in one transaction. */
export async function makeRoles(sql: Sql, services: readonly ServiceEntry[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await sql.begin(async (tx) => {
        await makePlatform(tx);
        for (const service of services) await makeService(tx, service);
      });
      return;
    } catch (error) {
      if (!(error instanceof postgres.PostgresError && LOST_RACE.has(error.code)) || attempt === ATTEMPTS) throw error;
      await delay(Math.random() * 20 * attempt);
    }
  }
}

async function makePlatform(tx: TransactionSql): Promise<void> {
  for (const role of [DRIVER_ROLE, SERVICE_ROLE]) {
    await makeRole(tx, role);
    await run(tx, "alter role %I nologin", role);
  }
  const [here] = await tx<[{ name: string }]>`select current_database() as name`;
  await run(tx, "revoke all on database %I from public", here.name);
  await run(tx, "revoke create on schema public from public");
  await run(tx, "alter default privileges for role %I revoke execute on functions from public", DRIVER_ROLE);
  for (const schema of DRIVER_SCHEMAS) {
    await makeSchema(tx, schema, DRIVER_ROLE);
    await run(tx, "grant usage on schema %I to %I", schema, SERVICE_ROLE);
  }
}

async function makeService(tx: TransactionSql, service: ServiceEntry): Promise<void> {
  const { name } = service;
  const owner = `${name}_owner`;
  const [here] = await tx<[{ name: string }]>`select current_database() as name`;
  const logins = [
    { role: name, password: service.password },
    { role: owner, password: service.ownerPassword },
  ];
  for (const { role, password } of logins) {
    await makeRole(tx, role);
    await run(tx, "alter role %I login password %L", role, scramVerifier(password));
    await run(tx, "alter role %I set search_path to %I, pg_temp", role, name);
    await run(tx, "grant connect on database %I to %I", here.name, role);
  }
  await run(tx, "grant %I to %I", SERVICE_ROLE, name);
  await makeSchema(tx, name, owner);
  await run(tx, "grant usage on schema %I to %I", name, name);
}

async function makeRole(tx: TransactionSql, role: string): Promise<void> {
  const [found] = await tx<{ administers: boolean }[]>`
    select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as administers
    from pg_roles where rolname = ${role}`;
  if (found?.administers) throw new Error(`the role ${role} administers this server: name the service otherwise`);
  if (!found) await run(tx, "create role %I", role);
}

async function makeSchema(tx: TransactionSql, schema: string, owner: string): Promise<void> {
  const [found] = await tx<{ owner: string }[]>`
    select pg_get_userbyid(nspowner) as owner from pg_namespace where nspname = ${schema}`;
  if (!found) await run(tx, "create schema %I authorization %I", schema, owner);
  else if (found.owner !== owner) throw new Error(`the schema ${schema} is there and belongs to ${found.owner}`);
}

/** Runs a statement that takes no parameters; the server itself quotes names (%I) and texts (%L) into it. */
async function run(tx: TransactionSql, statement: string, ...names: readonly string[]): Promise<void> {
  const [quoted] = await tx<
    [{ text: string }]
  >`select format(${statement}, variadic ${tx.array([...names], 25)}::text[]) as text`;
  await tx.unsafe(quoted.text);
}
