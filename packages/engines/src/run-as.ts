/** Whom PostgreSQL runs as: it refuses root, so root runs it as nobody, who must then be able to reach the folder. */
import { chown, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

export interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
}

const nobody = 65_534;

/** Gives the folder to whom PostgreSQL runs as. @throws where a folder above it is closed to that user. */
export async function runAs(dataDir: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {};
  for (let folder = dirname(resolve(dataDir)); ; folder = dirname(folder)) {
    const { mode } = await stat(folder);
    if ((mode & 0o001) === 0) {
      throw new Error(
        `PostgreSQL does not run as root, and user nobody may not pass ${folder}: set SWITCHBOARD_DATA_DIR to another folder, run as another user, or chmod o+x ${folder}`,
      );
    }
    if (folder === dirname(folder)) break;
  }
  await chown(dataDir, nobody, nobody);
  return { uid: nobody, gid: nobody };
}
