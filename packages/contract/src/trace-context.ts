/** W3C Trace Context (https://www.w3.org/TR/trace-context/), version 00: parse, continue, write. */

export interface TraceContext {
  /** 32 lower-case hex characters, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex characters, not all zero: this process's part of the trace. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const pattern = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/;
const zeros = /^0+$/;

/** The context that a `traceparent` header holds; undefined where it is missing or malformed. */
export function parseTraceparent(header: string | null | undefined): TraceContext | undefined {
  const match = header ? pattern.exec(header) : null;
  if (match === null) return undefined;
  const [, traceId = "", spanId = "", flags = ""] = match;
  if (zeros.test(traceId) || zeros.test(spanId)) return undefined;
  // Version 00 has exactly these four parts.
  if (header?.startsWith("00-") && header.length !== 55) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** A new part of the caller's trace, or of a new trace where there is none. */
export function childOf(parent: TraceContext | undefined): TraceContext {
  return {
    traceId: parent?.traceId ?? randomHex(16),
    spanId: randomHex(8),
    sampled: parent?.sampled ?? true,
  };
}

export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}

function randomHex(bytes: number): string {
  let hex = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) hex += byte.toString(16).padStart(2, "0");
  return zeros.test(hex) ? randomHex(bytes) : hex;
}
