/** The HTTP/2 sessions to one peer: one that lives long, and more only where the peer's limit of streams is near. */
import { constants } from "node:http2";
import { PeerFault } from "./peer-fault.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";

/** More than this would only hide that the peer allows too few streams. */
const MAX_SESSIONS = 4;

export interface SessionPool {
  /** A session that takes a request now. @throws PeerFault that says nothing was sent. */
  acquire(): Promise<Session>;
  /** Takes no more requests; resolves when those under way are finished. */
  close(): Promise<void>;
  /** Ends everything now. */
  destroy(): void;
}

export function createSessionPool(options: SessionOptions): SessionPool {
  /** All that are not over, those that take no more requests included. */
  const sessions = new Set<Session>();
  let opening: Promise<Session> | undefined;
  let ended: "close" | "destroy" | undefined;
  let pingIntervalMs = options.pingIntervalMs;

  const open = async (): Promise<Session> => {
    const session = await openSession({ ...options, pingIntervalMs });
    sessions.add(session);
    session.closed.then(() => {
      sessions.delete(session);
      // gRFC A8: a peer that is asked too often says so in this way.
      if (session.goawayCode() === constants.NGHTTP2_ENHANCE_YOUR_CALM) pingIntervalMs *= 2;
    });
    if (ended) session[ended]();
    return session;
  };
  /** One at a time, however many wait for it. */
  const openOnce = (): Promise<Session> => {
    opening ??= open().finally(() => {
      opening = undefined;
    });
    return opening;
  };
  const leastBusy = (): { session: Session | undefined; usable: number } => {
    let least: Session | undefined;
    let usable = 0;
    for (const session of sessions) {
      if (!session.usable()) continue;
      usable += 1;
      if (least === undefined || session.openStreams() < least.openStreams()) least = session;
    }
    return { session: least, usable };
  };

  return {
    async acquire() {
      for (;;) {
        if (ended) throw new PeerFault("unreachable", false, `the connection to ${options.origin} was closed here`);
        const { session, usable } = leastBusy();
        if (session === undefined) return openOnce();
        if (session.crowded() && usable < MAX_SESSIONS) openOnce().catch(() => {});
        if (await session.alive()) return session;
      }
    },
    async close() {
      ended ??= "close";
      for (const session of sessions) session.close();
      await Promise.all(Array.from(sessions, ({ closed }) => closed));
    },
    destroy() {
      ended = "destroy";
      for (const session of sessions) session.destroy();
    },
  };
}
