/** What a connection allows its peer, each with its default. They hold for servers and clients alike unless it says so. */

export interface Limits {
  /** The longest frame payload that the peer may send; 16,384 to 16,777,215. Default 16,384. */
  readonly maxFrameBytes: number;
  /** Bytes of one stream that may be on their way or unread; at least 65,535. Default 256 KiB. */
  readonly streamWindowBytes: number;
  /** The same for all streams of a connection together: what its unread bodies can take. Default 1 MiB. */
  readonly connectionWindowBytes: number;
  /** Servers: requests under way on one connection; more are refused, safe to repeat. Default 1,000. */
  readonly maxConcurrentStreams: number;
  /** A decoded header list, in the measure of RFC 9113, section 6.5.2. A longer request is answered 431. Default 16 KiB. */
  readonly maxHeaderListBytes: number;
  /** An encoded header block with all its CONTINUATION frames; a longer one ends the connection. Default 32 KiB. */
  readonly maxHeaderBlockBytes: number;
  /** CONTINUATION frames of one header block. Default 8. */
  readonly maxContinuations: number;
  /** HPACK's dynamic table for what the peer sends; 0 to 65,536. Default 4,096. */
  readonly headerTableBytes: number;
  /** What remembering decoded header blocks may take; 0: none are. Default 64 KiB. */
  readonly maxMemoBytes: number;
  /** From so many bytes on that the socket has not taken, streams wait with what they send. Default 256 KiB. */
  readonly outputHighWaterBytes: number;
  /**
   * So many bytes waiting end the connection: what streams may not hold back (answers to pings, resets) got that far
   * because the peer asks and does not read. Default 1 MiB.
   */
  readonly maxOutputBytes: number;
  /** The peer's preface and first SETTINGS, and its acknowledgement of ours. Default 10,000. */
  readonly settingsTimeoutMs: number;
  /** A header block, or any other frame that is no body, from its first byte to its last. Default 10,000. */
  readonly headersTimeoutMs: number;
  /** How long what is to be sent may wait for the peer (its windows, its socket) without progress. Default 30,000. */
  readonly stallTimeoutMs: number;
  /** A connection without streams ends gracefully after so long. Default 600,000. */
  readonly idleTimeoutMs: number;
  /** After so long without a byte the peer is asked for a sign of life, while streams are open. Default 20,000. */
  readonly pingIntervalMs: number;
  /** How long it may take for it before the connection is given up. Default 10,000. */
  readonly pingTimeoutMs: number;
  /** Between a graceful GOAWAY and the one that names the last request taken, if the peer does not answer. Default 1,000. */
  readonly goawayGraceMs: number;
  /** Frames in a row that carry nothing (PING, SETTINGS, PRIORITY, empty or tiny DATA, unknown ones). Default 10,000. */
  readonly controlBurst: number;
  /** How many of these come back each second; each frame that carries something gives two more. Default 1,000. */
  readonly controlPerSecond: number;
  /** Streams in a row that the peer reset or made us reset. Default 1,000. */
  readonly resetBurst: number;
  /** How many of these come back each second; each stream that ends properly gives half a one more. Default 100. */
  readonly resetPerSecond: number;
}

const DEFAULTS: Limits = {
  maxFrameBytes: 16_384,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  maxConcurrentStreams: 1_000,
  maxHeaderListBytes: 16 * 1024,
  maxHeaderBlockBytes: 32 * 1024,
  maxContinuations: 8,
  headerTableBytes: 4_096,
  maxMemoBytes: 64 * 1024,
  outputHighWaterBytes: 256 * 1024,
  maxOutputBytes: 1024 * 1024,
  settingsTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  stallTimeoutMs: 30_000,
  idleTimeoutMs: 600_000,
  pingIntervalMs: 20_000,
  pingTimeoutMs: 10_000,
  goawayGraceMs: 1_000,
  controlBurst: 10_000,
  controlPerSecond: 1_000,
  resetBurst: 1_000,
  resetPerSecond: 100,
};

/** Smallest and largest value, where RFC 9113 has them or a smaller one could not work. */
const RANGES: readonly (readonly [keyof Limits, number, number])[] = [
  ["maxFrameBytes", 16_384, 16_777_215],
  // A peer may use the initial windows of the RFC before it knows of ours.
  ["streamWindowBytes", 65_535, 2 ** 31 - 1],
  ["connectionWindowBytes", 65_535, 2 ** 31 - 1],
  ["headerTableBytes", 0, 65_536],
];

/** @throws RangeError where a limit cannot be kept. */
export function withDefaults(given: Partial<Limits> | undefined): Limits {
  const limits = Object.freeze({ ...DEFAULTS, ...given });
  for (const [name, least, most] of RANGES) {
    const value = limits[name];
    if (!(value >= least && value <= most)) throw new RangeError(`${name} is ${least} to ${most}, not ${value}`);
  }
  return limits;
}
