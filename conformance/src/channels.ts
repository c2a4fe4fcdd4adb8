/** The channels to the suite's servers: one for each server and each way to call it, kept, as a service keeps its own. */
import { type Client, createClient } from "@connectrpc/connect";
import { type Channel, openChannel } from "@switchboard/kernel/rpc/channel";
import { fakeRegistry } from "@switchboard/kernel/rpc/registry.fake";
import type { ClientCompatRequest } from "../gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { Compression } from "../gen/connectrpc/conformance/v1/config_pb.ts";
import { ConformanceService } from "../gen/connectrpc/conformance/v1/service_pb.ts";
import { log } from "./served.ts";

export interface Channels extends AsyncDisposable {
  of(request: ClientCompatRequest): Client<typeof ConformanceService>;
}

export function openChannels(): Channels {
  const channels = new Map<string, Channel>();
  return {
    of(request) {
      const { host, port, compression, messageReceiveLimit, clientTlsCreds } = request;
      const key = JSON.stringify([host, port, compression, messageReceiveLimit, clientTlsCreds !== undefined]);
      const channel = channels.get(key) ?? open(request);
      channels.set(key, channel);
      return createClient(ConformanceService, channel);
    },
    async [Symbol.asyncDispose]() {
      for (const channel of channels.values()) await channel[Symbol.asyncDispose]();
    },
  };
}

function open(request: ClientCompatRequest): Channel {
  const { host, port, compression, messageReceiveLimit, serverTlsCert, clientTlsCreds } = request;
  const instance = {
    service: "conformance",
    instanceId: "conformance-1",
    address: `${host}:${port}`,
    version: "1",
    contractHash: "",
    rpcServices: [ConformanceService.typeName],
    metadata: {},
    registerTime: 0,
  };
  return openChannel({
    service: instance.service,
    registry: fakeRegistry(instance),
    log,
    now: Date.now,
    random: Math.random,
    messages: {
      ...(messageReceiveLimit > 0 && { maxAnswerBytes: messageReceiveLimit }),
      ...(compression === Compression.GZIP && { gzipFromBytes: 0 }),
    },
    ...(serverTlsCert.length > 0 && {
      tls: {
        ca: Buffer.from(serverTlsCert),
        ...(clientTlsCreds && { cert: Buffer.from(clientTlsCreds.cert), key: Buffer.from(clientTlsCreds.key) }),
      },
    }),
  });
}
