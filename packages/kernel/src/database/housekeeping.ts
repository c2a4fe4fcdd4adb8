/** What the kernel's own tables in a service's schema need done from time to time. */
import { purgeInbox } from "../bus/inbox.ts";
import type { Job } from "../service.ts";
import type { Database } from "./database.ts";
import { purgeStoredAnswers } from "./stored-answers.ts";

const EVERY_MS = 10 * 60_000;

export function housekeepingJobs(database: Database, now: () => number): readonly Job[] {
  return [
    {
      name: "kernel.purge-stored-answers",
      everyMs: EVERY_MS,
      run: async (signal) => void (await purgeStoredAnswers(database, now(), signal)),
    },
    { name: "kernel.purge-inbox", everyMs: EVERY_MS, run: async (signal) => void (await purgeInbox(database, signal)) },
  ];
}
