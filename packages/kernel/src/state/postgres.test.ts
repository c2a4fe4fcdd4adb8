import { openPostgresEngine, openStoppablePostgresEngine, type PostgresEngine } from "../postgres-engine.fake.ts";
import { type StateEngine, stateLaw } from "./state.law.ts";

function stateOn<Engine extends PostgresEngine>(engine: Engine): Engine & StateEngine {
  const module = new URL("./postgres.ts", import.meta.url).href;
  return Object.assign(engine, {
    driver: (service: string) => ({ module, open: "openPostgresState", options: { url: engine.url(service) } }),
  });
}

stateLaw("postgres", {
  open: async () => stateOn(await openPostgresEngine()),
  openStoppable: async () => stateOn(await openStoppablePostgresEngine()),
});
