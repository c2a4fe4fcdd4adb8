/** The typed clients of all other services: one channel a service, opened with its first client. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { serviceNameOf } from "@switchboard/contract/service-name";
import type { Metrics } from "../telemetry/metrics.ts";
import { type Channel, type ChannelOptions, openChannel } from "./channel.ts";
import { measured } from "./measured.ts";

export interface ClientsOptions extends Omit<ChannelOptions, "service"> {
  readonly metrics?: Pick<Metrics, "clientDuration">;
}

export interface Clients extends AsyncDisposable {
  /** A client of the service's instances. Its errors are ConnectErrors; see channel.ts. */
  client<Desc extends DescService>(service: Desc): Client<Desc>;
  /** What keeps calls from the services called so far, one line each; empty: nothing. */
  problems(): readonly string[];
}

export function openClients(options: ClientsOptions): Clients {
  const channels = new Map<string, Channel>();
  return {
    client(descriptor) {
      const service = serviceNameOf(descriptor.file.proto.package);
      const channel = channels.get(service) ?? openChannel({ ...options, service });
      channels.set(service, channel);
      return createClient(descriptor, options.metrics ? measured(channel, options.metrics, options.now) : channel);
    },
    problems: () => [...channels.values()].flatMap((channel) => channel.problem() ?? []),
    async [Symbol.asyncDispose]() {
      await Promise.all([...channels.values()].map((channel) => channel[Symbol.asyncDispose]()));
    },
  };
}
