/** The HTTP/2 sessions to one peer: one that lives long, and more only where the peer's limit of streams is near. */
import { constants } from "node:http2";
import { PeerFault } from "./peer-fault.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";

/** More than this would only hide that the peer allows too few streams. */
const MAX_SESSIONS = 4;

export interface SessionPool {
  /** A session that takes a request now. @throws PeerFault that says nothing was sent. */
  acquire(): Promise<Session>;
  /** Takes no more requests, lets those under way finish. */
  close(): void;
  /** Ends everything now. */
  destroy(): void;
}

export function createSessionPool(options: SessionOptions): SessionPool {
  let sessions: Session[] = [];
  let opening: Promise<Session> | undefined;
  let ended: "close" | "destroy" | undefined;
  let pingIntervalMs = options.pingIntervalMs;

  const open = async (): Promise<Session> => {
    const session = await openSession({ ...options, pingIntervalMs });
    if (ended) session[ended]();
    else sessions.push(session);
    return session;
  };
  /** One at a time, however many wait for it. */
  const openOnce = (): Promise<Session> => {
    opening ??= open().finally(() => {
      opening = undefined;
    });
    return opening;
  };
  const forgetUnusable = () => {
    for (const session of sessions) {
      // gRFC A8: a peer that is asked too often says so in this way.
      if (session.goawayCode() === constants.NGHTTP2_ENHANCE_YOUR_CALM) pingIntervalMs *= 2;
    }
    // Those that the peer sent GOAWAY finish their streams and end by themselves.
    sessions = sessions.filter((session) => session.usable());
  };

  return {
    async acquire() {
      for (;;) {
        if (ended) throw new PeerFault("unreachable", false, `the connection to ${options.origin} was closed here`);
        if (sessions.some((session) => !session.usable())) forgetUnusable();
        const [first, ...others] = sessions;
        if (first === undefined) return openOnce();
        const session = others.reduce(
          (least, next) => (next.openStreams() < least.openStreams() ? next : least),
          first,
        );
        if (session.crowded() && sessions.length < MAX_SESSIONS) openOnce().catch(() => {});
        if (await session.alive()) return session;
      }
    },
    close() {
      ended ??= "close";
      for (const session of sessions) session.close();
    },
    destroy() {
      ended = "destroy";
      for (const session of sessions) session.destroy();
    },
  };
}
