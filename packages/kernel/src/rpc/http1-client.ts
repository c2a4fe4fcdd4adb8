/**
 * HTTP/1.1 as connect's protocols see it: connect-node's client over connections that are kept, with what goes wrong
 * below the call told in the same words as over HTTP/2.
 */
import { once } from "node:events";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { isUnreachable, PeerFault, peerError } from "./peer-fault.ts";
import type { ChannelTls } from "./session.ts";

export interface Http1Client extends Disposable {
  readonly request: UniversalClientFn;
  /** Keeps no connection any longer than its call takes; resolves when there is none. */
  close(): Promise<void>;
}

export function openHttp1Client(origin: string, tls: ChannelTls | undefined): Http1Client {
  const agent = tls ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
  const client = createNodeHttpClient({ httpVersion: "1.1", nodeOptions: { agent } });
  return {
    async request(request) {
      const fail = (reason: unknown): ConnectError =>
        request.signal?.aborted
          ? ConnectError.from(request.signal.reason, Code.Canceled)
          : peerError(
              isUnreachable(reason)
                ? new PeerFault("unreachable", false, `${origin} cannot be reached`, reason)
                : new PeerFault("broken", true, `the connection to ${origin} ended without an answer`, reason),
            );
      try {
        const response = await client(request);
        return { ...response, body: orFail(response.body, fail) };
      } catch (reason) {
        throw fail(reason);
      }
    },
    async close() {
      agent.maxFreeSockets = 0;
      const all = [agent.sockets, agent.freeSockets].flatMap((sockets) => Object.values(sockets).flat());
      for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
      await Promise.all(all.map((socket) => socket?.destroyed || once(socket as Socket, "close")));
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

async function* orFail(
  body: AsyncIterable<Uint8Array>,
  fail: (reason: unknown) => ConnectError,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk;
  } catch (reason) {
    throw fail(reason);
  }
}
