/**
 * How often one address may call this gateway at all, before anything that costs is done for it. Kept in this process:
 * it protects the process. What policies allow is counted over all gateways, by the stage rate-limit.
 */
import { AppError } from "@switchboard/contract/app-error";
import type { Stage } from "../pipeline.ts";

/** Addresses remembered; the ones longest unseen are forgotten first. */
const MAX_ADDRESSES = 100_000;
/** The burst, in seconds of the rate. */
const BURST_SECONDS = 2;

/** @param perSecond calls per second and address; 0: no limit. */
export function addressLimit(perSecond: number, now: () => number): Stage {
  if (perSecond === 0) return () => {};
  const intervalMs = 1_000 / perSecond;
  const burstMs = BURST_SECONDS * 1_000;
  /** GCRA: when the address's bucket is full again, by address. */
  const fullAt = new Map<string, number>();
  return (call) => {
    const time = now();
    const known = fullAt.get(call.clientAddress);
    const next = Math.max(known ?? 0, time) + intervalMs;
    if (next - time > burstMs) {
      throw new AppError("RATE_LIMITED", `too many calls from one address: at most ${perSecond} a second`, {
        retryAfterMs: Math.ceil(next - time - burstMs),
      });
    }
    if (known !== undefined) fullAt.delete(call.clientAddress);
    fullAt.set(call.clientAddress, next);
    if (fullAt.size <= MAX_ADDRESSES) return;
    const [oldest] = fullAt.keys();
    if (oldest !== undefined) fullAt.delete(oldest);
  };
}
