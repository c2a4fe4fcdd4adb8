import { testDatabase } from "@switchboard/testkit/database";
import { pino } from "pino";
import postgres from "postgres";
import { busLaw } from "./bus.law.ts";
import type { Bus } from "./bus.ts";
import type { BusWorld } from "./law/world.ts";
import { openPostgresBus } from "./postgres.ts";

busLaw("postgres", openWorld);

async function openWorld(): Promise<BusWorld> {
  const database = await testDatabase();
  const buses: Bus[] = [];
  return {
    open(service) {
      const bus = openPostgresBus({ url: database.url(service), service, log: pino({ level: "silent" }) });
      buses.push(bus);
      return bus;
    },
    async cut(service) {
      const admin = postgres(database.adminUrl, { max: 1 });
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${service}
        and datname = current_database()`;
      await admin.end();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(buses.map((bus) => bus[Symbol.asyncDispose]()));
      await database[Symbol.asyncDispose]();
    },
  };
}
