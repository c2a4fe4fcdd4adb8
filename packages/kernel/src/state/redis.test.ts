import { describe } from "node:test";
import { engineHome, skipWithout } from "@switchboard/engines/engine-home";
import { findRedis } from "@switchboard/engines/redis-program";
import { openRedisEngine } from "./redis-engine.fake.ts";
import { stateLaw } from "./state.law.ts";

const home = engineHome(process.env);
const skip = skipWithout("Redis", (await findRedis(home)) !== undefined, process.env);

describe("state in Redis", { skip }, () => {
  stateLaw("redis", {
    open: () => openRedisEngine({ home }),
    openStoppable: () => openRedisEngine({ home }),
  });
});
