/** Work that one process at a time does, by a session's advisory lock: it is free again when the holder's connection ends. */
import type { Connection } from "./connection.ts";

/** A lock that this process holds. */
export interface HeldAdvisoryLock extends AsyncDisposable {
  readonly name: string;
}

/** Takes the lock of that name in this database; undefined: somebody else holds it. It ends with the connection, too. */
export async function tryAdvisoryLock(connection: Connection, name: string): Promise<HeldAdvisoryLock | undefined> {
  const [row] = await connection.query<{ held: boolean }>(
    "select pg_try_advisory_lock(hashtextextended($1, 0)) as held",
    [name],
  );
  if (!row?.held) return undefined;
  return {
    name,
    async [Symbol.asyncDispose]() {
      if (connection.lost.aborted) return;
      await connection.query("select pg_advisory_unlock(hashtextextended($1, 0))", [name]).catch(() => {});
    },
  };
}
