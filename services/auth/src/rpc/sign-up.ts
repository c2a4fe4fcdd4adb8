/** SignUp. */
import type { MethodImpl } from "@connectrpc/connect";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { callOf } from "@switchboard/kernel/rpc/call";
import { asSelf } from "@switchboard/kernel/rpc/outgoing";
import { check } from "@switchboard/kernel/rpc/validate";
import { z } from "zod";
import type { Auth } from "../auth.ts";
import { emailTaken } from "../credentials/sign-ups.ts";
import { deviceOf } from "./device.ts";
import { displayName, email, id, requireGoodPassword } from "./fields.ts";

const method = AuthService.method.signUp;
const fields = z.object({ email, displayName, password: z.string(), requestId: id.or(z.literal("")) });

export function signUp({ deps, config, sessions, signUps, throttle }: Auth): MethodImpl<typeof method> {
  return async (request, context) => {
    const call = callOf(context);
    const details = check(fields, request);
    requireGoodPassword("password", details.password, details.email, config.passwordMinLength);
    const account = await throttle.attempt(details.email, call.clientAddress, () => signUps.begin(details));
    const { userId } = account;
    // Nobody is signed in yet: the audit entry's object says whose account it became.
    call.object = `user:${userId}`;
    if (account.state === "pending") await signUps.makePerson(account, asSelf(context));
    const device = deviceOf(context);
    return deps.writes.write(
      method,
      request,
      context,
      async (tx) => {
        if (!(await signUps.complete(tx, userId))) throw emailTaken();
        return { userId, tokens: await sessions.open(tx, account, device) };
      },
      // The password was checked again by `begin`.
      { replay: async (_stored, tx) => ({ userId, tokens: await sessions.open(tx, account, device) }) },
    );
  };
}
