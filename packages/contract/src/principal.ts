/** Who calls: what the gateway and the services make of a call's verified tokens. */

/** A subject of the authorization graph: `type:id`. */
export type Subject = `${string}:${string}`;

export interface UserPrincipal {
  readonly kind: "user";
  readonly subject: `user:${string}`;
  readonly userId: string;
  /** The session or the API key behind the token (its `sid` claim): what a revocation names. */
  readonly credentialId: string;
  /** Whether that is an API key. */
  readonly viaApiKey: boolean;
}

export interface ServicePrincipal {
  readonly kind: "service";
  readonly subject: `service:${string}`;
  readonly service: string;
}

export interface AnonymousPrincipal {
  readonly kind: "anonymous";
}

export type Principal = UserPrincipal | ServicePrincipal | AnonymousPrincipal;

export const ANONYMOUS: AnonymousPrincipal = { kind: "anonymous" };

/** How logs and the audit log name a principal: "user:…", "service:auth", "anonymous". */
export function actorOf(principal: Principal): string {
  return principal.kind === "anonymous" ? "anonymous" : principal.subject;
}
