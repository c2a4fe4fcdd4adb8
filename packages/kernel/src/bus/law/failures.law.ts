/** Cases of the bus's law: broken connections, processes that end, handlers that fail, and events that come again. */
import assert from "node:assert/strict";
import { newId } from "@switchboard/contract/ids";
import { eventually } from "@switchboard/testkit/eventually";
import { type Cases, event, gate, numbers, textOf, watch } from "./world.ts";

export const failureCases: Cases = {
  async "a broadcast whose connection broke says so once, and goes on"(world) {
    const heard: string[] = [];
    let gaps = 0;
    await world.open("auth").broadcast({
      topics: ["identity"],
      handle: (one) => void heard.push(textOf(one)),
      onGap: () => {
        gaps += 1;
      },
    });
    await world.cut("auth");
    await eventually(() => assert.equal(gaps, 1));
    await world.open("identity").publish([event("k", "1")]);
    await eventually(() => assert.deepEqual(heard, ["1"]));
    assert.equal(gaps, 1);
  },

  async "consumers and publishers whose connection broke go on by themselves"(world) {
    const consumer = world.open("auth");
    const publisher = world.open("identity");
    const seen = await watch(consumer);
    await publisher.publish([event("k", "1")]);
    await eventually(() => assert.equal(seen.texts.length, 1));
    await Promise.all([world.cut("auth"), world.cut("identity")]);
    await eventually(() => publisher.publish([event("k", "2")]));
    await eventually(() => assert.equal(seen.texts.at(-1), "2"));
    await eventually(() => assert.deepEqual([consumer.problem(), publisher.problem()], [undefined, undefined]));
  },

  async "what a consumer was at when it died, another gets"(world) {
    const stuck: string[] = [];
    const first = await world.open("auth").consume({
      group: "g",
      topics: ["identity"],
      handle: async (events) => {
        stuck.push(...events.map(textOf));
        await died.opened;
      },
    });
    const died = gate();
    await world.open("identity").publish([event("a", "1"), event("a", "2")]);
    await eventually(() => assert.deepEqual(stuck, ["1"]));
    await world.cut("auth");
    const seen = await watch(world.open("auth"));
    await eventually(() => assert.deepEqual(seen.texts, ["1", "2"]));
    died.open();
    await first.end();
  },

  async "an instance that ends finishes what it is at and hands over the rest"(world) {
    const held = gate();
    const started = gate();
    const first = await watch(world.open("auth"), { concurrency: 1 }, () => {
      started.open();
      return held.opened;
    });
    await world.open("identity").publish(numbers(4).map((text) => event("k", text)));
    await started.opened;
    const ended = first.subscription.end();
    held.open();
    await ended;
    assert.deepEqual(first.texts, ["0"]);
    const second = await watch(world.open("auth"));
    await eventually(() => assert.deepEqual(second.texts, ["1", "2", "3"]));
    assert.deepEqual(first.texts, ["0"]);
  },

  async "a failed event is tried again, holds back its own key and nobody else's"(world) {
    const attempts: number[] = [];
    const seen = await watch(world.open("auth"), { concurrency: 1 }, (one, { attempt }) => {
      if (textOf(one) !== "bad") return;
      attempts.push(attempt);
      if (attempt < 4) throw new Error("not yet");
    });
    const bus = world.open("identity");
    await bus.publish([event("poison", "bad"), event("poison", "behind"), event("other", "1")]);
    await bus.publish([event("poison", "later"), event("other", "2")]);
    await eventually(() => assert.deepEqual(seen.texts, ["1", "2", "bad", "behind", "later"]));
    assert.deepEqual(attempts, [1, 2, 3, 4]);
    await eventually(async () => assert.equal(await bus.lag("g"), 0));
  },

  async "an event that fails every attempt becomes a dead letter, and its key goes on; it can be given again"(world) {
    const consumer = world.open("auth");
    let mended = false;
    const seen = await watch(consumer, { maxAttempts: 3 }, (one) => {
      if (textOf(one) === "bad" && !mended) throw new Error("cannot take it");
    });
    const sent = event("k", "bad");
    await world.open("identity").publish([sent, event("k", "good")]);
    await eventually(() => assert.deepEqual(seen.texts, ["good"]));
    const [letter, ...others] = await consumer.listDeadLetters("g", 10);
    assert.ok(letter);
    assert.deepEqual(others, []);
    assert.equal(letter.attempts, 3);
    assert.equal(letter.error, "cannot take it");
    assert.equal(letter.event.id, sent.id);
    assert.ok(Math.abs(letter.time - Date.now()) < 60_000);
    assert.deepEqual(await consumer.listDeadLetters("other", 10), []);
    mended = true;
    assert.equal(await consumer.redrive("g", newId()), false);
    assert.equal(await consumer.redrive("g", letter.deadLetterId), true);
    await eventually(() => assert.deepEqual(seen.texts, ["good", "bad"]));
    assert.deepEqual(seen.deliveries.at(-1)?.delivery, { attempt: 1, replayId: "" });
    assert.deepEqual(await consumer.listDeadLetters("g", 10), []);
    assert.equal(await consumer.redrive("g", letter.deadLetterId), false);
  },

  async "a handler that throws at once, or something that is no error, fails its event only"(world) {
    const consumer = world.open("auth");
    await consumer.consume({
      group: "g",
      topics: ["identity"],
      maxAttempts: 1,
      handle() {
        throw "a text";
      },
    });
    await world.open("identity").publish([event("a"), event("b")]);
    await eventually(async () => assert.equal((await consumer.listDeadLetters("g", 10)).length, 2));
    assert.equal((await consumer.listDeadLetters("g", 1))[0]?.error, "a text");
  },

  async "a rejected batch is repeated event by event, and only the bad one waits with its key"(world) {
    const consumer = world.open("auth");
    const done: string[] = [];
    const bus = world.open("identity");
    await bus.publish([event("a", "1"), event("b", "bad"), event("b", "2"), event("c", "3"), event("a", "4")]);
    await consumer.consume({
      group: "g",
      topics: ["identity"],
      batchSize: 256,
      maxAttempts: 2,
      async handle(events) {
        if (events.some((one) => textOf(one) === "bad")) throw new Error("no");
        done.push(...events.map(textOf));
      },
    });
    await eventually(() => assert.deepEqual(done.toSorted(), ["1", "2", "3", "4"]));
    assert.deepEqual(
      (await consumer.listDeadLetters("g", 10)).map((letter) => textOf(letter.event)),
      ["bad"],
    );
    await eventually(async () => assert.equal(await consumer.lag("g"), 0));
  },

  async "a replay gives a span of past events again, in order, under its own id, to that group only"(world) {
    const consumer = world.open("auth");
    const bus = world.open("identity");
    const seen = await watch(consumer);
    const other = await watch(consumer, { group: "other" });
    await bus.publish(numbers(3).map((text) => event("k", text)));
    await eventually(() => assert.equal(seen.texts.length + other.texts.length, 6));
    const id = await consumer.replay({ group: "g", topic: "identity", fromTime: 0, toTime: Date.now() + 60_000 });
    await eventually(() => assert.deepEqual(seen.texts, ["0", "1", "2", "0", "1", "2"]));
    assert.deepEqual(
      seen.deliveries.map(({ delivery }) => delivery.replayId),
      ["", "", "", id, id, id],
    );
    const again = await consumer.replay({ group: "g", topic: "identity", fromTime: 0, toTime: Date.now() + 60_000 });
    assert.notEqual(again, id);
    await eventually(() => assert.equal(seen.texts.length, 9));
    await consumer.replay({ group: "g", topic: "identity", fromTime: 0, toTime: 1 });
    await bus.publish([event("k", "new")]);
    await eventually(() => assert.equal(seen.texts.at(-1), "new"));
    assert.equal(seen.texts.length, 10);
    await eventually(() => assert.equal(other.texts.at(-1), "new"));
    assert.equal(other.texts.length, 4);
  },

  async "times are the engine's: what an envelope says of its time changes neither order nor replay"(world) {
    const consumer = world.open("auth");
    const bus = world.open("identity");
    const seen = await watch(consumer);
    await bus.publish([event("k", "future", { time: "2999-01-01T00:00:00.000Z" })]);
    await bus.publish([event("k", "past", { time: "1999-01-01T00:00:00.000Z" })]);
    await eventually(() => assert.deepEqual(seen.texts, ["future", "past"]));
    const minute = 60_000;
    await consumer.replay({
      group: "g",
      topic: "identity",
      fromTime: Date.now() - 5 * minute,
      toTime: Date.now() + 5 * minute,
    });
    await eventually(() => assert.deepEqual(seen.texts, ["future", "past", "future", "past"]));
    assert.equal(seen.deliveries[0]?.event.time, "2999-01-01T00:00:00.000Z");
  },
};
