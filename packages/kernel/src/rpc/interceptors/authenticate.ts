/** Who calls: the service by its service token and, beside it, the user by the access token. Services verify both. */
import { AppError } from "@switchboard/contract/app-error";
import { SERVICE_TOKEN } from "@switchboard/contract/headers";
import { ANONYMOUS, actorOf, type Principal, type ServicePrincipal } from "@switchboard/contract/principal";
import type { TokenVerifier } from "../../trust/token-verifier.ts";
import { believe, type RunningCall } from "./running-call.ts";

const bearer = /^Bearer +(\S+)$/i;

/** @throws AppError SERVICE_TOKEN_INVALID, TOKEN_INVALID, TOKEN_EXPIRED, CREDENTIAL_REVOKED, AUTH_UNAVAILABLE */
export async function authenticate(call: RunningCall, header: Headers, verifier: TokenVerifier): Promise<void> {
  const peer = await verifyPeer(call, header.get(SERVICE_TOKEN), verifier);
  if (peer === undefined) return;
  believe(call, peer, header);
  const user = await verifyUser(call, header.get("authorization"), verifier);
  call.principal = user ?? (call.forwarded ? ANONYMOUS : peer);
  call.actor = actorOf(call.principal);
}

async function verifyPeer(
  { policy }: RunningCall,
  token: string | null,
  verifier: TokenVerifier,
): Promise<ServicePrincipal | undefined> {
  if (token === null) {
    if (policy.withoutServiceToken) return undefined;
    throw new AppError("SERVICE_TOKEN_INVALID", "this port serves the gateway and other services; call the gateway");
  }
  try {
    const peer = verifier.verifyServiceToken(token);
    return peer instanceof Promise ? await peer : peer;
  } catch (error) {
    // Whoever renews an expired token must not be refused for it.
    if (policy.withoutServiceToken) return undefined;
    throw error;
  }
}

async function verifyUser(
  call: RunningCall,
  authorization: string | null,
  verifier: TokenVerifier,
): Promise<Principal | undefined> {
  if (authorization === null) return undefined;
  const token = bearer.exec(authorization)?.[1];
  try {
    if (token === undefined) throw new AppError("TOKEN_INVALID", "`authorization` must be `Bearer <access token>`");
    const verified = verifier.verifyAccessToken(token);
    const user = verified instanceof Promise ? await verified : verified;
    call.accessToken = token;
    return user;
  } catch (error) {
    // What anybody may call, the owner of an expired token may call too: to refresh it, for one.
    if (call.policy.access === "public") return undefined;
    throw error;
  }
}
