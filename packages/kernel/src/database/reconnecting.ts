/** A standing connection that is opened again when it is lost: for LISTEN, and for locks that a session holds. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Connection } from "./connection.ts";

const RECONNECT_MS = 200;

/**
 * Runs `work` with a connection, and again with a new one whenever it ends, until `stop` is aborted; resolves then. Why
 * an attempt failed is told to `failed` each time, and to the log once an outage.
 */
export async function withReconnecting(options: {
  readonly connect: () => Connection;
  readonly work: (connection: Connection) => Promise<void>;
  readonly failed?: (error: unknown) => void;
  readonly stop: AbortSignal;
  readonly log: Logger;
  /** For the log: "the bus". */
  readonly name: string;
}): Promise<void> {
  const { connect, work, failed, stop, log, name } = options;
  let reported = false;
  while (!stop.aborted) {
    await using connection = connect();
    try {
      await work(connection);
    } catch (error) {
      if (stop.aborted) return;
      failed?.(error);
      if (connection.established) reported = false;
      if (!reported) log.warn({ err: error }, `${name}: lost its connection to PostgreSQL, or did not get one`);
      reported = true;
    }
    await delay(RECONNECT_MS, undefined, { signal: stop }).catch(() => {});
  }
}
