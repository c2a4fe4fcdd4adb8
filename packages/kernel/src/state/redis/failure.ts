/**
 * What a failure of ioredis means. Its errors carry the command with all arguments, the password of the handshake among
 * them, so none leaves this room: only their text does.
 */

/** Redis cannot be asked, or refuses for a reason that is not in the call. It may have done what it was asked, or not. */
export class RedisAway extends Error {
  override readonly name = "RedisAway";
  /** For whoever reads the readiness of the process. */
  readonly problem: string;

  constructor(message: string, problem = "the state (Redis) cannot be reached") {
    super(message);
    this.problem = problem;
  }
}

/** By the first word of an error reply; the reply of a script may have it further behind, or say it in words of its own. */
const refusals: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(WRONGPASS|NOAUTH)\b/, "the state (Redis) does not know the user of this process: provision it"],
  [
    /\bNOPERM\b|^ERR The user executing the script can't/,
    "the state (Redis) refuses what the user of this process must be allowed to do: provision it anew",
  ],
  [/\bOOM\b/, "the state (Redis) is out of memory"],
  [/\b(MISCONF|NOREPLICAS|READONLY)\b/, "the state (Redis) takes no writes at the moment"],
  [/\b(LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|UNKILLABLE)\b/, "the state (Redis) is not ready"],
];

export function redisFailure(error: unknown): Error {
  if (error instanceof RedisAway) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  for (const [code, problem] of refusals) {
    if (code.test(message)) return new RedisAway(message, problem);
  }
  // An error reply of any other kind is a fault of ours.
  return name === "ReplyError" ? new Error(`Redis refuses the command: ${message}`) : new RedisAway(message);
}

/** Whether the server has not seen the script, or has forgotten it. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
