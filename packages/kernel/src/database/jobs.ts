/** Runs a service's repeated work, each job in one instance at a time. What a job throws is logged and ends nothing. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Job } from "../service.ts";
import { tryAdvisoryLock } from "./advisory-lock.ts";
import type { Connection } from "./connection.ts";
import type { Database } from "./database.ts";

export interface JobsOptions {
  readonly jobs: readonly Job[];
  readonly database: Pick<Database, "connect">;
  /** Part of the locks' names: "auth". */
  readonly service: string;
  readonly log: Logger;
}

/**
 * Runs each job at once and then every `everyMs`, counted from its end; where another instance is at it, the turn is
 * left out. Disposing aborts the jobs' signal and waits for those that run.
 */
export function startJobs({ jobs, database, service, log }: JobsOptions): AsyncDisposable {
  const stop = new AbortController();
  let connection: Connection | undefined;
  const connected = () => {
    if (connection?.lost.aborted) {
      void connection[Symbol.asyncDispose]();
      connection = undefined;
    }
    connection ??= database.connect();
    return connection;
  };

  const runOnce = async (job: Job) => {
    const session = connected();
    await using lock = await tryAdvisoryLock(session, `${service}.job.${job.name}`);
    // Without the connection the lock is gone, and another instance may begin.
    if (lock) await job.run(AbortSignal.any([stop.signal, session.lost]));
  };
  const repeat = async (job: Job) => {
    let failing = false;
    while (!stop.signal.aborted) {
      try {
        await runOnce(job);
        failing = false;
      } catch (error) {
        if (!stop.signal.aborted && !failing) log.error({ err: error, job: job.name }, "a job failed; it is repeated");
        failing = true;
      }
      await delay(job.everyMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  };

  const running = jobs.map(repeat);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
      await connection?.[Symbol.asyncDispose]();
    },
  };
}
