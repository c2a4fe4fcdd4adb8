/** ChangePassword. */
import type { MethodImpl } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { PasswordChangedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { wrongCredentials } from "../credentials/sessions.ts";
import { findAccount, replacePasswordHash } from "../store/accounts.ts";
import { deleteSessions } from "../store/sessions.ts";
import { requireGoodPassword, requireUser } from "./fields.ts";

const method = AuthService.method.changePassword;

export function changePassword({ deps, config, passwords, sessions, throttle }: Auth): MethodImpl<typeof method> {
  return async (request, context) => {
    const call = callOf(context);
    const { userId, credentialId } = requireUser(call);
    const { currentPassword, newPassword } = request;
    call.object = `user:${userId}`;
    const account = await findAccount(deps.database.queries, userId);
    if (account === undefined) throw wrongCredentials();
    requireGoodPassword("new_password", newPassword, account.email, config.passwordMinLength);
    return throttle.attemptInSession(credentialId, async () => {
      const matches = await passwords.matches(currentPassword, account.passwordHash);
      const newHash = matches ? await passwords.hash(newPassword) : undefined;
      // A repeated request has the old password, which is wrong by then: only `write` knows that it was right.
      return deps.writes.write(method, request, context, async (tx) => {
        if (newHash === undefined) throw new AppError("WRONG_CREDENTIALS", "the current password is wrong");
        if (!(await replacePasswordHash(tx.queries, account, newHash))) {
          throw new AppError("CONFLICT", "the password was changed at the same moment; try again");
        }
        const ended = await deleteSessions(tx.queries, { userId, except: credentialId });
        await tx.publish(PasswordChangedSchema, { userId }, userId);
        await sessions.revoke(tx, userId, ended);
        return {};
      });
    });
  };
}
