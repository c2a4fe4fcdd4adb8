/** Forgets what no longer matters: ended sessions and keys, old revocations and password tries, accounts of people who are gone for good. */
import type { Job } from "@switchboard/kernel/service";
import type { Auth } from "../auth.ts";
import { purgeDeletedAccounts } from "../store/accounts.ts";
import { purgeApiKeys } from "../store/api-keys.ts";
import { purgePasswordTries } from "../store/password-tries.ts";
import { purgeRevocations } from "../store/revocations.ts";
import { purgeSessions } from "../store/sessions.ts";

/** Identity brings nobody back after 30 days; a day more for facts that are late. */
const DELETED_KEPT_MS = 31 * 24 * 60 * 60_000;

export function purge({ deps, config }: Auth): Job {
  return {
    name: "purge",
    everyMs: 10 * 60_000,
    async run() {
      const { queries } = deps.database;
      const now = deps.now();
      await purgeRevocations(queries, new Date(now));
      await purgeSessions(queries, new Date(now), new Date(now - config.sessionIdleMs));
      await purgePasswordTries(queries, new Date(now), new Date(now - config.sessionMaxMs));
      await purgeApiKeys(queries, new Date(now));
      await purgeDeletedAccounts(queries, new Date(now - DELETED_KEPT_MS));
    },
  };
}
