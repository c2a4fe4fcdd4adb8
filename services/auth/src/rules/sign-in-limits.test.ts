import assert from "node:assert/strict";
import { test } from "node:test";
import { accountCounter, addressCounter } from "./sign-in-limits.ts";

test("an account is counted alike in any letter case, and not by its name", () => {
  assert.equal(accountCounter("Ada@Example.com"), accountCounter("ada@example.com"));
  assert.doesNotMatch(accountCounter("ada@example.com"), /ada|example/);
});

test("IPv4 addresses are counted one by one, IPv6 by network", () => {
  const counter = (address: string) => addressCounter(address)?.replace("sign-in/address/", "");
  assert.equal(counter(""), undefined);
  assert.equal(counter("192.0.2.1"), "192.0.2.1");
  assert.equal(counter("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(counter("::1"), "0:0:0:0::/64");
  assert.equal(counter("2001:DB8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
  assert.equal(counter("2001:db8::1:0:0:0:1"), "2001:db8:0:1::/64");
  assert.equal(counter("2001:db8:0:1::"), "2001:db8:0:1::/64");
  assert.equal(counter("fe80::1%eth0"), "fe80:0:0:0::/64");
});
