/**
 * Brings a schema to the state of its migration files: each file once, in order of name, in a transaction of its own, one
 * process at a time. It only goes forward, and it does not make the schema or its roles: that is provisioning.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import postgres, { type Sql } from "postgres";

export interface MigrationFile {
  /** What it is remembered by: "0001-users.sql". */
  readonly name: string;
  /** Statements that can run in a transaction; unqualified names are of the schema. */
  readonly text: string;
}

/** A file that was applied is not the one that is there now. */
export class MigrationConflict extends Error {
  override readonly name = "MigrationConflict";
}

export interface MigrateOptions {
  /** As the role that owns the schema. */
  readonly url: string;
  /** The service's schema; the runtime role has the same name. */
  readonly schema: string;
  /** The service's own migrations: every `*.sql` in it. */
  readonly folder: string;
  readonly log: Logger;
  /** Gives up, also while another process migrates; what is not committed then is not done. */
  readonly signal?: AbortSignal;
}

const KERNEL_FOLDER = join(import.meta.dirname, "migrations");

/** Applies the kernel's own migrations of a service's schema (outbox, inbox, stored answers), then the service's. */
export async function migrate({ url, schema, folder, log, signal }: MigrateOptions): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  const giveUp = () => void sql.end({ timeout: 0 });
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    const kernel = await readMigrations(KERNEL_FOLDER);
    const files = [
      ...kernel.map(({ name, text }) => ({ name: `kernel/${name}`, text })),
      ...(await readMigrations(folder)),
    ];
    const applied = await applyMigrations({ sql, schema, files });
    if (applied.length > 0) log.info({ schema, applied }, "migrated");
  } finally {
    signal?.removeEventListener("abort", giveUp);
    await sql.end({ timeout: 1 });
  }
}

/** The `*.sql` files of a folder, by name. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(join(folder, name), "utf8") })));
}

export interface ApplyOptions {
  /** A client with exactly one connection (`max: 1`), as a role that may create in the schema. */
  readonly sql: Sql;
  readonly schema: string;
  readonly files: readonly MigrationFile[];
}

/**
 * Applies the files that the schema's table `migration` does not list yet, and resolves with their names. Processes that
 * come together wait for one another.
 * @throws MigrationConflict where a listed file has another text now; nothing is applied then.
 */
export async function applyMigrations({ sql, schema, files }: ApplyOptions): Promise<string[]> {
  if (sql.options.max !== 1) throw new TypeError("migrations need a client with one connection: set `max: 1`");
  const lock = `switchboard.migrate.${schema}`;
  await sql`select pg_advisory_lock(hashtextextended(${lock}, 0))`;
  try {
    const pending = files.filter(isNewTo(await appliedTo(sql, schema), schema));
    for (const file of pending) await apply(sql, schema, file);
    return pending.map(({ name }) => name);
  } finally {
    await sql`select pg_advisory_unlock(hashtextextended(${lock}, 0))`;
  }
}

async function appliedTo(sql: Sql, schema: string): Promise<Map<string, string>> {
  // Asked first: CREATE … IF NOT EXISTS wants the right to create even where there is nothing to do.
  const [there] = await sql`select 1 from pg_tables where schemaname = ${schema} and tablename = 'migration'`;
  if (!there) {
    await sql`
      create table ${sql(schema)}.migration (
        name text collate "C" primary key,
        checksum text not null,
        apply_time timestamptz not null default now()
      )`;
  }
  const rows = await sql<{ name: string; checksum: string }[]>`select name, checksum from ${sql(schema)}.migration`;
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function isNewTo(applied: ReadonlyMap<string, string>, schema: string): (file: MigrationFile) => boolean {
  return (file) => {
    const checksum = applied.get(file.name);
    if (checksum === undefined) return true;
    if (checksum === checksumOf(file)) return false;
    throw new MigrationConflict(
      `${file.name} was changed after it had been applied to schema ${schema}: restore it, and put the change into a new file`,
    );
  };
}

/** One message of the simple protocol is one transaction: an error anywhere in it leaves nothing behind. */
async function apply(sql: Sql, schema: string, file: MigrationFile): Promise<void> {
  const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
  const identifier = `"${schema.replaceAll('"', '""')}"`;
  try {
    await sql.unsafe(`
      set local standard_conforming_strings = on;
      set local search_path = ${identifier}, pg_temp;
      ${file.text}
      ;insert into ${identifier}.migration (name, checksum) values (${literal(file.name)}, '${checksumOf(file)}')`);
  } catch (cause) {
    throw new Error(`migration ${file.name} of schema ${schema} failed: ${(cause as Error).message}`, { cause });
  }
}

function checksumOf(file: MigrationFile): string {
  return createHash("sha256").update(file.text).digest("hex");
}
