import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SessionRevokedSchema } from "@switchboard/gen/switchboard/auth/v1/auth_events_pb";
import { eventually } from "@switchboard/testkit/eventually";
import { pino } from "pino";
import type { BroadcastOptions, Bus } from "../bus/bus.ts";
import { openRevocations } from "./revocations.ts";

const log = pino({ level: "silent" });

/** Auth's table and its feed, both by hand, and a clock. */
function auth() {
  const state = { now: Date.UTC(2026, 0, 1), away: false, reads: [] as bigint[], subscribers: 0 };
  const table: { sequence: bigint; credentialId: string; expireTime: ReturnType<typeof timestampFromMs> }[] = [];
  let feed: BroadcastOptions | undefined;
  const bus = {
    async broadcast(options: BroadcastOptions) {
      feed = options;
      state.subscribers += 1;
      return {
        end: async () => {
          state.subscribers -= 1;
        },
      };
    },
  } as Partial<Bus> as Bus;
  const revocation = (credentialId: string) => ({
    sequence: BigInt(table.length + 1),
    credentialId,
    expireTime: timestampFromMs(state.now + 600_000),
  });
  return {
    state,
    bus,
    /** Silently: nothing goes over the feed. */
    store: (credentialId: string) => void table.push(revocation(credentialId)),
    broadcast(credentialId: string) {
      const row = revocation(credentialId);
      table.push(row);
      feed?.handle({
        id: "1",
        source: "auth",
        type: SessionRevokedSchema.typeName,
        key: "",
        time: "",
        actor: "",
        traceparent: "",
        data: toBinary(SessionRevokedSchema, create(SessionRevokedSchema, row)),
      });
    },
    gap: () => feed?.onGap(),
    options: {
      async list(afterSequence: bigint) {
        if (state.away) throw new Error("Auth is away");
        state.reads.push(afterSequence);
        const revocations = table.filter(({ sequence }) => sequence > afterSequence);
        return { revocations, lastSequence: revocations.at(-1)?.sequence ?? afterSequence };
      },
      now: () => state.now,
      log,
      silenceMs: 20,
    },
  };
}

test("the list is loaded before anything is believed, also where Auth comes late", async () => {
  const { state, options, store } = auth();
  state.away = true;
  store("old-session");
  await using revocations = openRevocations(options);
  assert.equal(revocations.stalenessMs(), Number.POSITIVE_INFINITY);
  assert.match(revocations.problem() ?? "", /revocations/);
  state.away = false;
  await revocations.ready;
  assert.equal(revocations.isRevoked("old-session"), true);
  assert.equal(revocations.isRevoked("other"), false);
  assert.equal(revocations.problem(), undefined);
});

test("what is broadcast holds at once; after a gap the list is read on from where it was", async () => {
  const { state, bus, options, store, broadcast, gap } = auth();
  {
    await using revocations = openRevocations({ ...options, bus });
    await revocations.ready;
    broadcast("heard");
    assert.equal(revocations.isRevoked("heard"), true);
    store("missed");
    assert.equal(revocations.isRevoked("missed"), false);
    gap();
    await eventually(() => assert.equal(revocations.isRevoked("missed"), true));
  }
  assert.deepEqual(state.reads.slice(0, 2), [0n, 0n]);
  assert.equal(state.subscribers, 0, "the subscription is ended");
});

test("a silent feed is no proof: the list is read again, and staleness is told while it cannot be", async () => {
  const { state, bus, options, store } = auth();
  await using revocations = openRevocations({ ...options, bus });
  await revocations.ready;
  store("never-broadcast");
  state.now += 20;
  await eventually(() => assert.equal(revocations.isRevoked("never-broadcast"), true));
  state.away = true;
  state.now += 60_000;
  assert.equal(revocations.stalenessMs(), 60_000);
  assert.equal(revocations.isRevoked("never-broadcast"), true);
});

test("what has expired is forgotten, after the clocks' tolerance", async () => {
  const { state, options, store } = auth();
  await using revocations = openRevocations(options);
  store("short");
  await revocations.ready;
  state.now += 20;
  await eventually(() => assert.equal(revocations.isRevoked("short"), true));
  state.now += 600_000 + 89_000;
  const readsBefore = state.reads.length;
  await eventually(() => assert.ok(state.reads.length > readsBefore));
  assert.equal(revocations.isRevoked("short"), true);
  state.now += 2_000;
  await eventually(() => assert.equal(revocations.isRevoked("short"), false));
});

test("what has expired is forgotten while the feed goes on, without another reading", async () => {
  const { state, bus, options, broadcast } = auth();
  await using revocations = openRevocations({ ...options, bus });
  await revocations.ready;
  broadcast("short");
  state.now += 691_000;
  broadcast("later");
  const { length: reads } = state.reads;
  await eventually(() => assert.equal(revocations.isRevoked("short"), false));
  assert.equal(revocations.isRevoked("later"), true);
  assert.equal(state.reads.length, reads, "the feed was alive");
});
