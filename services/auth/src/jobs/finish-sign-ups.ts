/** Finishes sign-ups that were interrupted between Auth and Identity, or removes them where Identity refuses. */

import { AppError } from "@switchboard/contract/app-error";
import { inTrace } from "@switchboard/kernel/rpc/outgoing";
import type { Job } from "@switchboard/kernel/service";
import type { Auth } from "../auth.ts";
import { listPendingAccounts } from "../store/accounts.ts";

/** Longer than the call itself may take, so that nobody is at it any more. */
const LEFT_AFTER_MS = 60_000;
const BATCH = 100;

export function finishSignUps({ deps, signUps }: Auth): Job {
  return {
    name: "finish-sign-ups",
    everyMs: 15_000,
    async run(signal) {
      const { database, log, now } = deps;
      const pending = await listPendingAccounts(database.queries, new Date(now() - LEFT_AFTER_MS), BATCH);
      for (const account of pending) {
        if (signal.aborted) return;
        const { userId } = account;
        try {
          await signUps.makePerson(account, { ...inTrace(undefined), signal });
          const origin = { actor: "service:auth", trace: undefined };
          await database.transaction(origin, (tx) => signUps.complete(tx, userId));
          log.info({ userId }, "an interrupted sign-up was finished");
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          // Away: all of them wait for the next turn.
          if (error.reason === "SERVICE_UNAVAILABLE") return;
          log.info({ userId, reason: error.reason }, "an interrupted sign-up was removed");
        }
      }
    },
  };
}
