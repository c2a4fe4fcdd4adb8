import { describe } from "node:test";
import { findConsul } from "@switchboard/engines/consul-program";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { openConsulEngine } from "./consul-engine.fake.ts";
import { registryLaw } from "./registry.law.ts";

const home = engineHome(process.env);
const skip = skipWithout("Consul", (await findConsul(home)) !== undefined, process.env);

describe("registry in Consul", { skip }, () => {
  registryLaw("consul", {
    open: () => openConsulEngine({ home, persistent: false }),
    openStoppable: () => openConsulEngine({ home, persistent: true }),
  });
});
