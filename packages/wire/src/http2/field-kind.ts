/** What a field's name means to the rules of RFC 9113, section 8: decided once for a name, not once for a request. */

export const FieldKind = {
  PLAIN: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  /** A pseudo-header field that nobody defined, or a name or value with forbidden characters. */
  INVALID: 6,
  /** Belongs to one connection of HTTP/1.1 (section 8.2.2). */
  CONNECTION: 7,
  TE: 8,
  CONTENT_LENGTH: 9,
  HOST: 10,
} as const;

const KINDS = new Map<string, number>([
  [":method", FieldKind.METHOD],
  [":scheme", FieldKind.SCHEME],
  [":authority", FieldKind.AUTHORITY],
  [":path", FieldKind.PATH],
  [":status", FieldKind.STATUS],
  ["connection", FieldKind.CONNECTION],
  ["keep-alive", FieldKind.CONNECTION],
  ["proxy-connection", FieldKind.CONNECTION],
  ["transfer-encoding", FieldKind.CONNECTION],
  ["upgrade", FieldKind.CONNECTION],
  ["http2-settings", FieldKind.CONNECTION],
  ["te", FieldKind.TE],
  ["content-length", FieldKind.CONTENT_LENGTH],
  ["host", FieldKind.HOST],
]);

/** The characters of a token (RFC 9110, section 5.6.2) without upper case (RFC 9113, section 8.2.1). */
const NAME_CHARACTER: Uint8Array = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  NAME_CHARACTER[character.charCodeAt(0)] = 1;
}

export function kindOfName(name: string): number {
  const known = KINDS.get(name);
  if (known !== undefined) return known;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 255 || NAME_CHARACTER[code] === 0) return FieldKind.INVALID;
  }
  return name.length === 0 ? FieldKind.INVALID : FieldKind.PLAIN;
}

/**
 * Whether a value's bytes are free of control characters other than tabs, and of white space at its ends. RFC 9113, section 8.2.1,
 * forbids NUL, CR and LF; RFC 9110, section 5.5, lets the others be refused too: they belong in no log and no upstream.
 */
export function isFieldValue(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if (isBlank(bytes[start] as number) || isBlank(bytes[end - 1] as number)) return false;
  for (let i = start; i < end; i++) {
    if (isControl(bytes[i] as number)) return false;
  }
  return true;
}

export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

export function isControl(code: number): boolean {
  return (code < 0x20 && code !== 0x09) || code === 0x7f;
}
