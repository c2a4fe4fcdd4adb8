/**
 * An ioredis client for one server, for what Sentinel says is the master, or for a cluster. Its options hold it to one
 * rule: a command is answered, or fails within the timeout; none waits for a server that is away, none is sent twice to
 * one server. It does not judge failures; see connection.ts.
 */
import { Cluster, Redis } from "ioredis";

export interface RedisClientOptions {
  /**
   * redis://user:password@host:port/db; rediss:// is with TLS. Where there are sentinels, the host is the name of their
   * master's group. Of a cluster it is any node, and the db is 0.
   */
  readonly url: string;
  /** For rediss://, of the server, the nodes and the sentinels, in PEM. Default: the authorities that Node.js trusts. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** redis:// or rediss:// each; the credentials of the first are those of all. */
  readonly sentinels?: readonly string[];
  /** Whether the URL is that of a cluster's node. Default false. */
  readonly cluster?: boolean;
}

export type RedisClient = Redis | Cluster;

/** How long a server may go without a byte of the answers it owes, and how long a connection may take. */
export const TIMEOUT_MS = 1_000;

/** Connects when it is told to. */
export function createClient(options: RedisClientOptions, name: string): RedisClient {
  const { hostname, port, username, password, db, secure } = readUrl(options.url);
  const common = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(secure && { tls: { ...options.tls } }),
    connectionName: name,
    // Redis before 7.2 knows no CLIENT SETINFO.
    disableClientInfo: true,
    lazyConnect: true,
    connectTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    // How long a closed socket may linger: a silent peer never confirms.
    disconnectTimeout: 100,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // What a lost connection owed fails with it, and not with the next attempt.
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: 100,
    // What was a master when it was connected to may be a replica now: the next connection asks anew.
    reconnectOnError: (error: Error) => error.message.includes("READONLY"),
  };
  if (options.cluster) {
    return new Cluster([{ host: hostname, port }], {
      redisOptions: common,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryDelayMs,
      slotsRefreshTimeout: TIMEOUT_MS,
      // Names are resolved with each connection, and TLS needs to see them.
      dnsLookup: (address, callback) => callback(null, address),
    });
  }
  const server = { ...common, db, retryStrategy: retryDelayMs };
  if (options.sentinels === undefined) return new Redis({ ...server, host: hostname, port });
  const sentinels = options.sentinels.map(readUrl);
  const [first] = sentinels;
  return new Redis({
    ...server,
    name: hostname,
    sentinels: sentinels.map((sentinel) => ({ host: sentinel.hostname, port: sentinel.port })),
    ...(first?.username !== undefined && { sentinelUsername: first.username }),
    ...(first?.password !== undefined && { sentinelPassword: first.password }),
    ...(first?.secure && { sentinelTLS: { ...options.tls } }),
    ...(secure && { enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: TIMEOUT_MS,
    sentinelRetryStrategy: retryDelayMs,
  });
}

/** A server that is back is found within 150 ms; many clients do not come at once. */
function retryDelayMs(): number {
  return 50 + Math.random() * 100;
}

interface Address {
  readonly hostname: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly secure: boolean;
}

/** @throws TypeError where it is no URL of Redis. */
function readUrl(text: string): Address {
  const url = new URL(text);
  const db = Number(url.pathname.slice(1));
  if (!/^rediss?:$/.test(url.protocol) || !Number.isInteger(db)) {
    throw new TypeError("the URL of Redis must be redis:// or rediss://, its path nothing or the number of a database");
  }
  return {
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 6379),
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    db,
    secure: url.protocol === "rediss:",
  };
}
