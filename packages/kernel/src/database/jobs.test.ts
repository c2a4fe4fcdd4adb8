import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type TestDatabase, testDatabase } from "@switchboard/testkit/database";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import postgres from "postgres";
import type { Job } from "../service.ts";
import type { Database } from "./database.ts";
import { startJobs } from "./jobs.ts";
import { openDatabase } from "./open-database.ts";

const log = pino({ level: "silent" });

describe("jobs", () => {
  let server: TestDatabase;
  let admin: postgres.Sql;
  let instances: Database[];
  let started: AsyncDisposable[] = [];

  before(async () => {
    server = await testDatabase();
    admin = postgres(server.adminUrl, { max: 1 });
    instances = [1, 2].map(() => openDatabase({ url: server.url("notes"), schema: "notes", log }));
  });
  afterEach(async () => {
    await Promise.all(started.map((jobs) => jobs[Symbol.asyncDispose]()));
    started = [];
  });
  after(async () => {
    await Promise.all(instances.map((database) => database[Symbol.asyncDispose]()));
    await admin.end();
    await server[Symbol.asyncDispose]();
  });

  const start = (instance: number, ...jobs: readonly Job[]) => {
    const database = instances[instance];
    assert.ok(database);
    const running = startJobs({ jobs, database, service: "notes", log });
    started.push(running);
    return running;
  };

  it("repeats a job, also one that fails", async () => {
    let runs = 0;
    start(0, {
      name: "failing",
      everyMs: 10,
      run: async () => {
        runs += 1;
        throw new Error("no");
      },
    });
    await eventually(() => assert.ok(runs >= 3));
  });

  it("runs a job in one instance at a time, and different jobs side by side", async () => {
    let underWay = 0;
    let most = 0;
    let runs = 0;
    const alone: Job = {
      name: "alone",
      everyMs: 1,
      async run() {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setTimeout(resolve, 15));
        underWay -= 1;
        runs += 1;
      },
    };
    let others = 0;
    const count = async () => {
      others += 1;
    };
    const other: Job = { name: "other", everyMs: 1, run: count };
    start(0, alone, other);
    start(1, alone);
    await eventually(() => assert.ok(runs >= 8 && others >= 8));
    assert.equal(most, 1);
  });

  it("stopping aborts the signal and waits for the job under way", async () => {
    let ended = false;
    let begun = false;
    const running = start(0, {
      name: "long",
      everyMs: 1,
      async run(signal) {
        begun = true;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        await new Promise((resolve) => setTimeout(resolve, 20));
        ended = true;
      },
    });
    await eventually(() => assert.ok(begun));
    await running[Symbol.asyncDispose]();
    assert.equal(ended, true);
  });

  it("a job whose lock is lost with its connection is told, and runs again on a new one", async () => {
    let runs = 0;
    let told = 0;
    start(0, {
      name: "cut",
      everyMs: 10,
      async run(signal) {
        runs += 1;
        if (runs > 1) return;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        told += 1;
      },
    });
    await eventually(() => assert.equal(runs, 1));
    await eventually(async () => {
      const ended = await admin`
        select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
        where locktype = 'advisory' and usename = 'notes'`;
      assert.ok(ended.length > 0);
    });
    await eventually(() => assert.ok(told === 1 && runs > 1));
  });
});
