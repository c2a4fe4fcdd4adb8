import assert from "node:assert/strict";
import { test } from "node:test";
import { createClientAddresses } from "./client-address.ts";
import type { Exchange } from "./exchange/exchange.ts";

function from(peerAddress: string, forwarded?: string): Exchange {
  return {
    peerAddress,
    headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
  } as unknown as Exchange;
}

test("without proxies the header is not believed", () => {
  const addresses = createClientAddresses([]);
  assert.equal(addresses.of(from("::ffff:192.0.2.1", "6.6.6.6")), "192.0.2.1");
  assert.equal(addresses.trusted(from("192.0.2.1")), false);
});

test("behind proxies it is the last address that is not theirs", () => {
  const addresses = createClientAddresses(["10.0.0.0/8", "2001:db8::/32", "192.0.2.9"]);
  assert.equal(addresses.of(from("10.0.0.1", "6.6.6.6, 203.0.113.5, 10.9.9.9")), "203.0.113.5");
  assert.equal(addresses.of(from("::ffff:10.0.0.1", "203.0.113.5")), "203.0.113.5");
  assert.equal(addresses.of(from("2001:db8::1", "2001:db8::2")), "2001:db8::2");
  assert.equal(addresses.of(from("192.0.2.9", "6.6.6.6, unknown, 10.1.1.1")), "10.1.1.1");
  assert.equal(addresses.of(from("198.51.100.1", "6.6.6.6")), "198.51.100.1", "not from a proxy");
  assert.equal(addresses.of(from("10.0.0.1")), "10.0.0.1");
});

test("what is no address or network is named", () => {
  for (const proxy of ["nowhere", "10.0.0.0/33", "10.0.0.0/x", "::1/129"]) {
    assert.throws(() => createClientAddresses([proxy]), new RegExp(proxy.replace("/", "\\/")));
  }
});
