/** Fixed header names. Those that begin with `switchboard-` are internal: the gateway strips them from outside. */

/** Names a call from the client's first try to the last log line; made by the gateway where the client sends none. */
export const REQUEST_ID = "x-request-id";
/** Proves which service calls. The user's access token travels beside it, in `authorization`. */
export const SERVICE_TOKEN = "switchboard-service-token";
/** The caller's address as the gateway saw it; believed only beside a service token. */
export const CLIENT_ADDRESS = "switchboard-client-address";
/** Set by the gateway, to any value, on a call that it passes on from outside: there is no gateway of its own behind it. */
export const FORWARDED = "switchboard-forwarded";
/** The prefix of every internal header. */
export const INTERNAL_PREFIX = "switchboard-";
/** The state that an answer was made from; presented again, a later read sees nothing older. */
export const CONSISTENCY_TOKEN = "x-consistency-token";
/** W3C Trace Context. */
export const TRACEPARENT = "traceparent";
