/** SignIn. */
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { isEmail } from "@switchboard/contract/email";
import { AuthService, type SignInRequest } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import type { Auth } from "../auth.ts";
import { wrongCredentials } from "../credentials/sessions.ts";
import { isOutdated } from "../rules/password-hash.ts";
import { findAccountByEmail, replacePasswordHash } from "../store/accounts.ts";
import { deviceOf } from "./device.ts";

const method = AuthService.method.signIn;

export function signIn({ deps, passwords, sessions, throttle }: Auth): MethodImpl<typeof method> {
  const openSession = async (request: SignInRequest, context: HandlerContext) => {
    const { email, password } = request;
    const account = isEmail(email) ? await findAccountByEmail(deps.database.queries, email) : undefined;
    // The caller is anonymous, refused or not: the audit entry's object says whose account it was about.
    if (account) callOf(context).object = `user:${account.userId}`;
    const matches = await passwords.matches(password, account?.passwordHash);
    if (!account || !matches) throw wrongCredentials();
    const renewed = isOutdated(account.passwordHash) ? await passwords.hash(password) : undefined;
    const { userId } = account;
    return deps.writes.write(method, request, context, async (tx) => {
      const tokens = await sessions.open(tx, account, deviceOf(context));
      if (renewed !== undefined) await replacePasswordHash(tx.queries, account, renewed);
      return { userId, tokens };
    });
  };
  return (request, context) =>
    throttle.attempt(request.email, callOf(context).clientAddress, () => openSession(request, context));
}
