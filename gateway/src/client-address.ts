/**
 * Whose call it is, by address. Behind proxies that are trusted it is the last address of X-Forwarded-For that is not one
 * of theirs; a header from anybody else is not believed.
 */
import { BlockList, isIP } from "node:net";
import type { Exchange } from "./exchange/exchange.ts";

export interface ClientAddresses {
  of(exchange: Exchange): string;
  /** Whether the connection comes from a proxy whose forwarded headers are believed. */
  trusted(exchange: Exchange): boolean;
}

/** @param proxies addresses and networks: "10.0.0.0/8", "::1". @throws RangeError naming one that is neither. */
export function createClientAddresses(proxies: readonly string[]): ClientAddresses {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = "", prefix] = proxy.split("/");
    const family = isIP(address);
    const bits = Number(prefix ?? (family === 6 ? 128 : 32));
    if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > (family === 6 ? 128 : 32)) {
      throw new RangeError(`"${proxy}" is neither an address nor a network like 10.0.0.0/8`);
    }
    list.addSubnet(address, bits, family === 6 ? "ipv6" : "ipv4");
  }
  const isProxy = (address: string) => proxies.length > 0 && list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  return {
    trusted: (exchange) => isProxy(plain(exchange.peerAddress)),
    of(exchange) {
      let address = plain(exchange.peerAddress);
      if (!isProxy(address)) return address;
      const header = exchange.headers["x-forwarded-for"];
      const hops = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",").map((hop) => hop.trim());
      for (const hop of hops.reverse()) {
        const next = plain(hop);
        // What stands left of something that is no address was not written by a proxy of ours.
        if (isIP(next) === 0) break;
        address = next;
        if (!isProxy(address)) break;
      }
      return address;
    },
  };
}

/** Node gives IPv4 on a socket for both as ::ffff:127.0.0.1. */
function plain(address: string): string {
  const mapped = address.startsWith("::ffff:") ? address.slice(7) : address;
  return isIP(mapped) === 4 ? mapped : address;
}
