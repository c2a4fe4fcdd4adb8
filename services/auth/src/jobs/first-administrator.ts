/**
 * Makes the first administrator out of the settings: once for ever, by the same way as everybody signs up, then a grant
 * from Authz. Repeated until Identity and Authz are there; a platform that has had one never gets another this way.
 */
import { AppError } from "@switchboard/contract/app-error";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { inTrace } from "@switchboard/kernel/rpc/outgoing";
import type { Job } from "@switchboard/kernel/service";
import type { Auth } from "../auth.ts";
import { type Account, findAccountByEmail } from "../store/accounts.ts";
import { findFirstAdministrator, insertFirstAdministrator, markGranted } from "../store/first-administrator.ts";

const DISPLAY_NAME = "Administrator";

export interface FirstAdministrator {
  readonly job: Job;
  /** Undefined: made, or not asked for. */
  problem(): string | undefined;
}

export function firstAdministrator(auth: Auth): FirstAdministrator {
  const { deps, config, passwords, signUps } = auth;
  const { database, log, now } = deps;
  const { administrator } = config;
  const authz = deps.client(AuthzService);
  let problem = administrator && "the first administrator is not made yet";
  let failing = false;

  const make = async (signal: AbortSignal): Promise<void> => {
    if (administrator === undefined) return;
    const options = { ...inTrace(undefined), signal };
    const begun = await findFirstAdministrator(database.queries);
    if (begun?.grantTime) return;
    const userId = begun?.userId ?? (await makeAccount(administrator, options));
    const grant = { subject: `user:${userId}`, role: "admin", object: "platform:switchboard", requestId: userId };
    await authz.grantRole(grant, options);
    await markGranted(database.queries, new Date(now()));
    log.info({ userId }, "the first administrator is made");
  };

  const makeAccount = async (
    { email, password }: { email: string; password: string },
    options: { signal: AbortSignal },
  ): Promise<string> => {
    const account = await beginOrAdopt(email, password);
    const { userId } = account;
    if (account.state === "pending") await signUps.makePerson(account, options);
    await database.transaction({ actor: "service:auth", trace: undefined }, async (tx) => {
      await signUps.complete(tx, userId);
      await insertFirstAdministrator(tx.queries, userId);
    });
    return userId;
  };

  /** An account that is there already is taken only with the password from the settings: it may be anybody's. */
  const beginOrAdopt = async (email: string, password: string): Promise<Account> => {
    try {
      return await signUps.begin({ email, password, displayName: DISPLAY_NAME, requestId: "" });
    } catch (error) {
      const account = await findAccountByEmail(database.queries, email);
      if (account?.state === "active" && (await passwords.matches(password, account.passwordHash))) return account;
      throw error;
    }
  };

  return {
    problem: () => problem,
    job: {
      name: "first-administrator",
      everyMs: 1_000,
      async run(signal) {
        if (problem === undefined) return;
        try {
          await make(signal);
          problem = undefined;
        } catch (error) {
          if (error instanceof AppError && error.reason === "ALREADY_EXISTS") {
            problem =
              "the first administrator is not made yet: SWITCHBOARD_ADMIN_EMAIL belongs to somebody who has another password";
          }
          if (!failing) log.warn({ err: error }, "the first administrator cannot be made yet; tried again");
          failing = true;
        }
      },
    },
  };
}
