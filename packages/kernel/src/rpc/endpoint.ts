/**
 * One instance as the channel calls it: gRPC over HTTP/2 and, where that is refused or broken there, the Connect protocol
 * over HTTP/1.1. Which of the two works is remembered, with tries to go back. It repeats nothing that may have been
 * processed and is not safe to repeat.
 */
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { type CommonTransportOptions, validateReadWriteMaxBytes } from "@connectrpc/connect/protocol";
import { createTransport as createConnectTransport } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpcTransport } from "@connectrpc/connect/protocol-grpc";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Logger } from "pino";
import type { Instance } from "../registry/registry.ts";
import { requireGrpc } from "./grpc-check.ts";
import { openHttp1Client } from "./http1-client.ts";
import { http2Client } from "./http2-client.ts";
import { PeerFault, peerError, peerFaultOf } from "./peer-fault.ts";
import type { ChannelTls, SessionOptions } from "./session.ts";
import { createSessionPool } from "./session-pool.ts";

export interface EndpointOptions {
  readonly log: Logger;
  readonly now: () => number;
  readonly tls?: ChannelTls | undefined;
  readonly messages?: Partial<EndpointMessages> | undefined;
  readonly timing?: Partial<EndpointTiming>;
}

export interface EndpointMessages {
  /** The largest answer that is taken, per message. Default 64 MiB. */
  readonly maxAnswerBytes: number;
  /**
   * Requests of this size on are compressed with gzip, and answers may be. Default: never; between machines of one network
   * it costs more than it saves.
   */
  readonly gzipFromBytes: number;
}

export interface EndpointTiming extends Pick<SessionOptions, "connectTimeoutMs" | "pingIntervalMs" | "pingTimeoutMs"> {
  /** After how long gRPC is tried again where it was refused; doubled with each refusal. */
  readonly firstProbeMs: number;
  readonly maxProbeMs: number;
}

const DEFAULT_TIMING: EndpointTiming = {
  connectTimeoutMs: 2_000,
  pingIntervalMs: 10_000,
  pingTimeoutMs: 3_000,
  firstProbeMs: 5_000,
  maxProbeMs: 300_000,
};

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface EndpointCall {
  /** Both sides stream at once: there is no way over HTTP/1.1. */
  readonly bidi: boolean;
  /** Whether it does no harm when it is processed twice. */
  readonly repeatable: boolean;
  /** Whether the request can still be sent from its beginning. */
  resendable(): boolean;
}

export interface Endpoint {
  readonly instance: Instance;
  protocol(): "grpc" | "connect";
  /** Makes one attempt, over the protocol that works; `send` runs a second time only after a refusal of the first. */
  attempt<T>(call: EndpointCall, send: (transport: Transport) => Promise<T>): Promise<T>;
  /** Takes no more calls; resolves when those under way are finished. */
  close(): Promise<void>;
  destroy(): void;
}

export function openEndpoint(instance: Instance, { log, now, tls, messages = {}, timing }: EndpointOptions): Endpoint {
  const { firstProbeMs, maxProbeMs, ...sessionTiming } = { ...DEFAULT_TIMING, ...timing };
  const { gzipFromBytes, maxAnswerBytes = MAX_ANSWER_BYTES } = messages;
  const origin = `${tls ? "https" : "http"}://${instance.address}`;
  const pool = createSessionPool({ origin, tls, ...sessionTiming });
  const http1 = openHttp1Client(origin, tls);
  const common: Omit<CommonTransportOptions, "httpClient"> = {
    baseUrl: origin,
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: gzipFromBytes === undefined ? [] : [compressionGzip],
    sendCompression: gzipFromBytes === undefined ? null : compressionGzip,
    ...validateReadWriteMaxBytes(maxAnswerBytes, undefined, gzipFromBytes),
  };
  const grpc = createGrpcTransport({ ...common, httpClient: requireGrpc(http2Client(pool, origin), origin) });
  const connect = createConnectTransport({
    ...common,
    // It compresses unary requests above the limit, and streams from the limit on.
    compressMinBytes: common.compressMinBytes - 0.5,
    httpClient: http1.request,
  });

  /** Until when gRPC is left alone; undefined: it works. */
  let probeTime: number | undefined;
  let probeMs = firstProbeMs;

  const grpcWorks = () => {
    if (probeTime === undefined) return;
    log.info({ instance: instance.instanceId, address: instance.address }, "gRPC works again");
    probeTime = undefined;
    probeMs = firstProbeMs;
  };
  const avoidGrpc = (cause: Error) => {
    // Calls that were under way together are refused together.
    if (probeTime !== undefined && now() < probeTime) return;
    log.warn({ err: cause, instance: instance.instanceId, probeMs }, "gRPC is refused: Connect over HTTP/1.1 instead");
    probeTime = now() + probeMs;
    probeMs = Math.min(probeMs * 2, maxProbeMs);
  };

  return {
    instance,
    protocol: () => (probeTime === undefined ? "grpc" : "connect"),
    async attempt({ bidi, repeatable, resendable }, send) {
      if (probeTime !== undefined && !bidi && !(repeatable && now() >= probeTime)) return send(connect);
      let refusal: PeerFault;
      let refusalCode: Code;
      try {
        const answer = await send(grpc);
        grpcWorks();
        return answer;
      } catch (error) {
        const fault = peerFaultOf(error);
        if (fault === undefined) grpcWorks();
        if (fault?.kind !== "http2_refused" && fault?.kind !== "grpc_refused") throw error;
        if (bidi || (fault.maybeProcessed && !repeatable)) throw error;
        if (!resendable()) {
          avoidGrpc(fault);
          throw error;
        }
        refusal = fault;
        refusalCode = ConnectError.from(error).code;
      }
      try {
        const answer = await send(connect);
        avoidGrpc(refusal);
        return answer;
      } catch (error) {
        // An error of the application is an answer; and what fails both ways is no matter of the protocol.
        const fault = peerFaultOf(error);
        if (error instanceof ConnectError && !fault && error.code !== Code.Canceled) avoidGrpc(refusal);
        // What the peer answered to gRPC says more than that it has no HTTP/1.1 either.
        if (fault && refusal.kind === "grpc_refused") {
          throw peerError(
            new PeerFault(refusal.kind, fault.maybeProcessed || refusal.maybeProcessed, refusal.message, error),
            refusalCode,
          );
        }
        throw error;
      }
    },
    async close() {
      await Promise.all([pool.close(), http1.close()]);
    },
    destroy() {
      pool.destroy();
      http1[Symbol.dispose]();
    },
  };
}
