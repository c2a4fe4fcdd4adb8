/** A channel to the echo service, for tests: over a fake registry, silent, disposable. */
import { type Client, createClient } from "@connectrpc/connect";
import { pino } from "pino";
import type { Instance } from "../registry/registry.ts";
import { type Channel, type ChannelOptions, openChannel } from "./channel.ts";
import { EchoService } from "./echo.fake.ts";
import { type FakeRegistry, fakeRegistry } from "./registry.fake.ts";

export interface OpenEcho extends AsyncDisposable {
  readonly registry: FakeRegistry;
  readonly channel: Channel;
  readonly client: Client<typeof EchoService>;
}

export function openEcho(
  servers: readonly { readonly instance: Instance }[],
  options: Partial<ChannelOptions> = {},
): OpenEcho {
  const registry = fakeRegistry(...servers.map(({ instance }) => instance));
  const channel = openChannel({
    service: "echo",
    registry,
    log: pino({ level: "silent" }),
    now: Date.now,
    random: Math.random,
    ...options,
  });
  return {
    registry,
    channel,
    client: createClient(EchoService, channel),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

export async function* messages(...texts: readonly string[]): AsyncGenerator<{ text: string }> {
  for (const text of texts) yield { text };
}
