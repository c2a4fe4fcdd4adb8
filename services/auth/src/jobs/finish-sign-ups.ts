/** Finishes sign-ups that were interrupted between Auth and Identity, or removes them where Identity refuses. */
import { Code, ConnectError } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { inTrace } from "@switchboard/kernel/rpc/outgoing";
import type { Job } from "@switchboard/kernel/service";
import type { Auth } from "../auth.ts";
import { type Account, listPendingAccounts } from "../store/accounts.ts";

/** Longer than the call itself may take, so that nobody is at it any more. */
const LEFT_AFTER_MS = 60_000;
const BATCH = 100;

export function finishSignUps({ deps, signUps }: Auth): Job {
  const { database, log, now } = deps;
  /** The last one that was looked at: a turn begins behind it, so that those that fail keep no other from its turn. */
  let last: string | undefined;

  const finish = async (account: Account, signal: AbortSignal): Promise<void> => {
    const { userId } = account;
    await signUps.makePerson(account, { ...inTrace(undefined), signal });
    await database.transaction({ actor: "service:auth", trace: undefined }, (tx) => signUps.complete(tx, userId));
    log.info({ userId }, "an interrupted sign-up was finished");
  };

  return {
    name: "finish-sign-ups",
    everyMs: 15_000,
    async run(signal) {
      const pending = await listPendingAccounts(database.queries, new Date(now() - LEFT_AFTER_MS), last, BATCH);
      let failure: { readonly err: unknown; readonly userId: string } | undefined;
      for (const account of pending) {
        if (signal.aborted) return;
        const { userId } = account;
        last = userId;
        try {
          await finish(account, signal);
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          if (isAway(error)) return;
          if (error.reason === "SERVICE_UNAVAILABLE") failure = { err: error, userId };
          else if (isRefusal(error)) log.info({ userId, reason: error.reason }, "an interrupted sign-up was removed");
          else throw error;
        }
      }
      if (pending.length < BATCH) last = undefined;
      if (failure) log.warn(failure, "interrupted sign-ups cannot be finished, this one for example; tried again");
    },
  };
}

/** What `makePerson` says where Identity will never make the person. */
function isRefusal({ reason }: AppError): boolean {
  return reason === "ALREADY_EXISTS" || reason === "INVALID_FIELD";
}

/** Nobody answers: the others wait for a later turn too. */
function isAway({ reason, cause }: AppError): boolean {
  const code = cause instanceof ConnectError ? cause.code : undefined;
  return reason === "SERVICE_UNAVAILABLE" && (code === Code.Unavailable || code === Code.DeadlineExceeded);
}
