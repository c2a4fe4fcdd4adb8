/** What tokens look like, for Auth who makes them and everybody who verifies them (RFC 9068, RFC 8725). */

/** The `iss` of every token. */
export const ISSUER = "switchboard";

/** A user's access token. Claims: sub = user id, sid = session or API key id, jti, iat, exp; `via` = "api_key" for keys. */
export const ACCESS_TOKEN = { typ: "at+jwt", audience: "switchboard" } as const;

/** A service's own token. Claims: sub = "service:identity", jti, iat, exp. */
export const SERVICE_TOKEN_FORMAT = { typ: "service+jwt", audience: "switchboard-internal" } as const;

/** The only signature algorithm that is taken (RFC 9864: Ed25519; jose and JWKs of older peers call it EdDSA). */
export const ALGORITHMS: readonly string[] = ["EdDSA"];

/** How far clocks may differ. */
export const CLOCK_TOLERANCE_MS = 90_000;

/** Access tokens live this long: the time for which a revocation must be remembered (plus the clocks' tolerance). */
export const ACCESS_TOKEN_TTL_MS = 10 * 60_000;

/** Service tokens live this long and are renewed from a quarter of it on, so that Auth may be away for the rest. */
export const SERVICE_TOKEN_TTL_MS = 60 * 60_000;

/** What every API key's secret begins with. */
export const API_KEY_PREFIX = "sbk_";
