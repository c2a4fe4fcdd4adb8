/** The law of the bus: what every driver must do, as tests. A driver's own test file runs it in three lines. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import { eventually } from "@switchboard/testkit/eventually";
import type { Bus, ConsumeOptions, Delivery, Subscription } from "./bus.ts";

/** A fresh engine for one case, with the services `identity` and `auth`. */
export interface BusWorld extends AsyncDisposable {
  /** One process of a service. The case does not end it: the world does. */
  open(service: "identity" | "auth"): Bus;
  /** Breaks the connections of all processes of a service, as a crash of its machine would: nothing is handed over. */
  cut(service: "identity" | "auth"): Promise<void>;
}

export interface BusLawOptions {
  /** Cases that the driver does not pass, by name, each with the reason. One that passes nevertheless fails. */
  readonly except?: Readonly<Record<string, string>>;
}

export function busLaw(name: string, openWorld: () => Promise<BusWorld>, options: BusLawOptions = {}): void {
  const { except = {} } = options;
  describe(`bus law: ${name}`, () => {
    for (const [caseName, check] of Object.entries(cases)) {
      it(caseName, async () => {
        const run = async () => {
          await using world = await openWorld();
          await check(world);
        };
        if (caseName in except) await assert.rejects(run, `passes: take back the exception "${except[caseName]}"`);
        else await run();
      });
    }
    it("every exception names a case", () => {
      assert.deepEqual(
        Object.keys(except).filter((caseName) => !(caseName in cases)),
        [],
      );
    });
  });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function event(key: string, text = "", change: Partial<EventEnvelope> = {}): EventEnvelope {
  return {
    id: newId(),
    source: "identity",
    type: "law.v1.Happened",
    key,
    time: new Date().toISOString(),
    actor: "user:u",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    data: encoder.encode(text),
    ...change,
  };
}

function textOf({ data }: EventEnvelope): string {
  return decoder.decode(data);
}

interface Seen {
  readonly texts: string[];
  readonly deliveries: { readonly event: EventEnvelope; readonly delivery: Delivery }[];
  readonly subscription: Subscription;
}

/** A consumer that notes what it handled; `handle` runs before the note. */
async function watch(
  bus: Bus,
  options: Partial<ConsumeOptions> = {},
  handle: (event: EventEnvelope, delivery: Delivery) => Promise<void> | void = () => {},
): Promise<Seen> {
  const texts: string[] = [];
  const deliveries: Seen["deliveries"] = [];
  const subscription = await bus.consume({
    group: "g",
    topics: ["identity"],
    ...options,
    async handle(events, delivery) {
      for (const one of events) {
        await handle(one, delivery);
        texts.push(textOf(one));
        deliveries.push({ event: one, delivery });
      }
    },
  });
  return { texts, deliveries, subscription };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

const cases: Readonly<Record<string, (world: BusWorld) => Promise<void>>> = {
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
