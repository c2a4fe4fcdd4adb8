import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FEW,
  networkOf,
  SIGN_IN_WINDOW_MS,
  shareOf,
  type Tally,
  talliesOf,
  talliesOfSession,
  waitBeforeTry,
} from "./sign-in-limits.ts";

const limits = { signInsPerAccountAndNetwork: 10, signInsPerAccount: 300, signInsPerAddress: 200 };
const tallies = talliesOf("ada@example.com", "192.0.2.1", limits);
const { source, account = assert.fail(), address = assert.fail() } = tallies;
const now = 1_000_000_000;

/** Counters after so many wrong passwords. */
const after = (...counts: readonly (readonly [Tally, number])[]) =>
  new Map(counts.map(([{ counter, limit }, count]) => [counter, now + count * shareOf(limit)]));

test("an account is counted alike in any letter case, and neither e-mail nor address can be read", () => {
  assert.deepEqual(talliesOf("ADA@Example.com", "192.0.2.1", limits), tallies);
  assert.notEqual(talliesOf("eve@example.com", "192.0.2.1", limits).account?.counter, account.counter);
  assert.doesNotMatch(JSON.stringify(tallies), /ada|example|192/);
});

test("a place is an IPv4 address, or 48 bits of IPv6", () => {
  assert.equal(networkOf(""), "");
  assert.equal(networkOf("192.0.2.1"), "192.0.2.1");
  assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(networkOf("::1"), "0:0:0::/48");
  assert.equal(networkOf("2001:DB8:0:1:2:3:4:5"), "2001:db8:0::/48");
  assert.equal(networkOf("2001:db8::1:0:0:0:1"), "2001:db8:0::/48");
  assert.equal(networkOf("2001:db8:0:1::"), "2001:db8:0::/48");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0::/48");
});

test("addresses are counted one by one, of IPv6 by 64 bits", () => {
  const counter = (from: string) => talliesOf("ada@example.com", from, limits).address?.counter;
  assert.equal(counter(""), undefined);
  assert.equal(counter("2001:db8:5:5::1"), counter("2001:db8:5:5:ffff::2"));
  assert.notEqual(counter("2001:db8:5:5::1"), counter("2001:db8:5:6::1"));
  assert.notEqual(counter("192.0.2.1"), counter("192.0.2.2"));
});

test("a place may send so many wrong passwords for an account, then one whenever one has leaked away", () => {
  assert.equal(waitBeforeTry(tallies, new Map(), false, now), 0);
  assert.equal(waitBeforeTry(tallies, after([source, 9]), false, now), 0);
  assert.equal(waitBeforeTry(tallies, after([source, 10]), false, now), SIGN_IN_WINDOW_MS / 10);
  assert.equal(waitBeforeTry(tallies, after([source, 10]), false, now + SIGN_IN_WINDOW_MS / 10), 0);
  assert.ok(waitBeforeTry(tallies, after([source, 10]), true, now) > 0, "known or not");
});

test("of an account that is guessed at from many places, the others have a few tries left, a known one all", () => {
  const guessedAt = (count: number) => after([account, 300], [source, count]);
  assert.equal(waitBeforeTry(tallies, guessedAt(FEW - 1), false, now), 0);
  assert.ok(waitBeforeTry(tallies, guessedAt(FEW), false, now) > 0);
  assert.equal(waitBeforeTry(tallies, guessedAt(9), true, now), 0);
  assert.equal(waitBeforeTry(tallies, after([account, 299], [source, 9]), false, now), 0);
});

test("from an address of many wrong passwords, only accounts that are known there may be tried", () => {
  assert.ok(waitBeforeTry(tallies, after([address, 200]), false, now) > 0);
  assert.equal(waitBeforeTry(tallies, after([address, 200]), true, now), 0);
});

test("who is signed in is counted by the session alone", () => {
  const own = talliesOfSession("session", limits);
  assert.deepEqual(Object.keys(own), ["source"]);
  assert.notEqual(own.source.counter, talliesOfSession("other", limits).source.counter);
});
