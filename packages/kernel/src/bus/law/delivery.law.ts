/** Cases of the bus's law: what arrives, where, and in which order, when nothing goes wrong. */
import assert from "node:assert/strict";
import { eventually } from "@switchboard/testkit/eventually";
import { type Cases, event, gate, numbers, textOf, watch } from "./world.ts";

export const deliveryCases: Cases = {
  async "a group gets what was published before it and after it"(world) {
    const bus = world.open("identity");
    await bus.publish([event("k", "before")]);
    const seen = await watch(world.open("auth"));
    await bus.publish([event("k", "after")]);
    await eventually(() => assert.deepEqual(seen.texts, ["before", "after"]));
  },

  async "an event is delivered within 100 ms of its publication"(world) {
    const bus = world.open("identity");
    const seen = await watch(world.open("auth"));
    await bus.publish([event("k", "warm")]);
    await eventually(() => assert.equal(seen.texts.length, 1));
    let best = Number.POSITIVE_INFINITY;
    for (const text of numbers(5)) {
      const start = performance.now();
      await bus.publish([event("k", text)]);
      await eventually(() => assert.ok(seen.texts.includes(text)), { everyMs: 1 });
      best = Math.min(best, performance.now() - start);
    }
    assert.ok(best < 100, `the fastest took ${best} ms`);
  },

  async "an envelope arrives as it was sent"(world) {
    const sent = event("key", "", { data: Uint8Array.from({ length: 256 }, (_, byte) => byte) });
    const seen = await watch(world.open("auth"));
    await world.open("identity").publish([sent]);
    const [got] = await eventually(() => {
      assert.equal(seen.deliveries.length, 1);
      return seen.deliveries;
    });
    assert.deepEqual({ ...got?.event, data: Uint8Array.from(got?.event.data ?? []) }, sent);
    assert.deepEqual(got?.delivery, { attempt: 1, replayId: "" });
  },

  async "keys differ by letter case and by bytes, and none is changed"(world) {
    const keys = ["a", "A", "ä", "a\u0308", " a", "a ", "ß", "SS", "\u{1f600}", "'\"\\{}", "%_", "null"];
    const failed = new Set<string>();
    const seen = await watch(world.open("auth"), {}, ({ key }) => {
      // Were two of them one key, the second would wait behind the first.
      if (key !== "a" || failed.has(key)) return;
      failed.add(key);
      throw new Error("the first time only");
    });
    await world.open("identity").publish(keys.map((key) => event(key)));
    await eventually(() => assert.equal(seen.deliveries.length, keys.length));
    assert.deepEqual(new Set(seen.deliveries.map(({ event: { key } }) => key)), new Set(keys));
    assert.equal(seen.deliveries.at(-1)?.event.key, "a");
  },

  async "empty data and data of 900 KiB arrive"(world) {
    const large = new Uint8Array(900 * 1024).map((_, index) => index * 31);
    const seen = await watch(world.open("auth"));
    await world.open("identity").publish([event("k"), event("k", "", { data: large })]);
    await eventually(() => assert.equal(seen.deliveries.length, 2));
    assert.equal(seen.deliveries[0]?.event.data.length, 0);
    assert.equal(Buffer.compare(seen.deliveries[1]?.event.data ?? new Uint8Array(), large), 0);
  },

  async "refuses an event without a key, one that is too large, and one of another service; all or nothing"(world) {
    const bus = world.open("identity");
    const seen = await watch(world.open("auth"));
    await assert.rejects(bus.publish([event("k", "first"), event("")]), { reason: "INVALID_FIELD" });
    const large = event("k", "", { data: new Uint8Array(900 * 1024 + 1) });
    await assert.rejects(bus.publish([event("k", "first"), large]), { reason: "REQUEST_TOO_LARGE" });
    const foreign = event("k", "", { source: "auth" });
    await assert.rejects(bus.publish([event("k", "first"), foreign]), { reason: "PERMISSION_DENIED" });
    await bus.publish([event("k", "last")]);
    await eventually(() => assert.deepEqual(seen.texts, ["last"]));
  },

  async "an id that is published again is delivered again"(world) {
    const seen = await watch(world.open("auth"));
    const bus = world.open("identity");
    const twice = event("k", "twice");
    await bus.publish([twice]);
    await bus.publish([twice]);
    await eventually(() => assert.deepEqual(seen.texts, ["twice", "twice"]));
  },

  async "keeps the order of each key, and loses nothing, with many publishers and consumers"(world) {
    const publishers = [world.open("identity"), world.open("identity"), world.open("identity")];
    const consumers = await Promise.all([world.open("auth"), world.open("auth")].map((bus) => watch(bus)));
    await Promise.all(
      numbers(12).map(async (key) => {
        const bus = publishers[Number(key) % publishers.length];
        for (let from = 0; from < 60; from += 4) {
          await bus?.publish([0, 1, 2, 3].map((step) => event(key, String(from + step))));
        }
      }),
    );
    await eventually(() => assert.equal(consumers.flatMap(({ texts }) => texts).length, 12 * 60), { withinMs: 15_000 });
    for (const key of numbers(12)) {
      const all = consumers.map(({ deliveries }) => deliveries.filter((one) => one.event.key === key));
      for (const ofOne of all) {
        const texts = ofOne.map((one) => Number(textOf(one.event)));
        assert.deepEqual(
          texts,
          texts.toSorted((a, b) => a - b),
        );
      }
      assert.deepEqual(new Set(all.flat().map((one) => textOf(one.event))), new Set(numbers(60)));
    }
  },

  async "handles one event of a key at a time, and other keys meanwhile"(world) {
    const held = gate();
    let underWay = 0;
    const seen = await watch(world.open("auth"), { concurrency: 2 }, async ({ key }) => {
      if (key !== "slow") return;
      underWay += 1;
      assert.equal(underWay, 1);
      await held.opened;
      underWay -= 1;
    });
    await world.open("identity").publish([event("slow", "1"), event("slow", "2"), event("quick", "3")]);
    await eventually(() => assert.deepEqual(seen.texts, ["3"]));
    held.open();
    await eventually(() => assert.deepEqual(seen.texts, ["3", "1", "2"]));
  },

  async "of the instances of a group one gets each event, and each gets some"(world) {
    const consumers = await Promise.all([world.open("auth"), world.open("auth")].map((bus) => watch(bus)));
    const bus = world.open("identity");
    let round = 0;
    await eventually(
      async () => {
        round += 1;
        await bus.publish(numbers(64).map((key) => event(key, `${round} ${key}`)));
        for (const { texts } of consumers) assert.ok(texts.length > 0);
      },
      { everyMs: 100 },
    );
    const count = () => consumers.flatMap(({ texts }) => texts);
    await eventually(() => assert.equal(new Set(count()).size, round * 64));
    assert.equal(count().length, round * 64);
  },

  async "every group gets every event, and groups of two services with one name do not meet"(world) {
    const auth = world.open("auth");
    const identity = world.open("identity");
    const seen = await Promise.all([watch(auth), watch(auth, { group: "other" }), watch(identity)]);
    await identity.publish([event("k", "1")]);
    await eventually(() =>
      assert.deepEqual(
        seen.map(({ texts }) => texts),
        [["1"], ["1"], ["1"]],
      ),
    );
  },

  async "a group of all topics gets those that come later"(world) {
    const seen = await watch(world.open("auth"), { topics: "*" });
    await world.open("identity").publish([event("k", "1")]);
    await eventually(() => assert.deepEqual(seen.texts, ["1"]));
    await world.open("auth").publish([event("k", "2", { source: "auth" })]);
    await eventually(() => assert.deepEqual(seen.texts, ["1", "2"]));
    assert.equal(seen.deliveries[1]?.event.source, "auth");
  },

  async "a broadcast reaches every subscriber, from now on"(world) {
    const bus = world.open("identity");
    await bus.publish([event("k", "before")]);
    const heard: string[][] = [[], []];
    let gaps = 0;
    for (const [index, process] of [world.open("auth"), world.open("auth")].entries()) {
      await process.broadcast({
        topics: ["identity"],
        handle: (one) => void heard[index]?.push(textOf(one)),
        onGap: () => {
          gaps += 1;
        },
      });
    }
    await bus.publish([event("k", "1"), event("k", "2")]);
    await eventually(() =>
      assert.deepEqual(heard, [
        ["1", "2"],
        ["1", "2"],
      ]),
    );
    assert.equal(gaps, 0);
  },

  async "a broadcast hears a topic that nobody had published into, and goes on when its handler throws"(world) {
    const heard: string[] = [];
    await world.open("auth").broadcast({
      topics: ["identity"],
      handle(one) {
        heard.push(textOf(one));
        throw new Error("a handler's own");
      },
      onGap: () => {},
    });
    const bus = world.open("identity");
    await bus.publish([event("k", "1")]);
    await bus.publish([event("k", "2")]);
    await eventually(() => assert.deepEqual(heard, ["1", "2"]));
  },

  async "batches hold several events in the order of their keys, and never more than was asked for"(world) {
    const bus = world.open("identity");
    await bus.publish(numbers(100).map((text) => event(`k${Number(text) % 5}`, text)));
    const sizes: number[] = [];
    const texts: string[] = [];
    await world.open("auth").consume({
      group: "g",
      topics: ["identity"],
      batchSize: 16,
      async handle(events) {
        sizes.push(events.length);
        texts.push(...events.map(textOf));
      },
    });
    await eventually(() => assert.equal(texts.length, 100));
    assert.ok(Math.max(...sizes) <= 16 && sizes.length < 50, `sizes: ${sizes}`);
    for (let key = 0; key < 5; key++) {
      const ofKey = texts.map(Number).filter((text) => text % 5 === key);
      assert.deepEqual(
        ofKey,
        ofKey.toSorted((a, b) => a - b),
      );
    }
  },

  async "lag counts what a group has before it"(world) {
    const consumer = world.open("auth");
    const bus = world.open("identity");
    const held = gate();
    await watch(consumer, {}, () => held.opened);
    await bus.publish([event("a"), event("a"), event("b")]);
    await eventually(async () => assert.equal(await consumer.lag("g"), 3));
    held.open();
    await eventually(async () => assert.equal(await consumer.lag("g"), 0));
  },
};
