import { after, before, describe } from "node:test";
import type { KafkaServer } from "@switchboard/engines/kafka";
import { busLaw } from "./bus.law.ts";
import { openWorld, skip, startEngine } from "./kafka/engine.fake.ts";

describe("bus in Kafka", { skip }, () => {
  let engine: KafkaServer;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine.stop());

  busLaw("kafka", async () => openWorld(engine.brokers));
});
