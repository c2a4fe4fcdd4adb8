/**
 * A short fingerprint of a text (FNV-1a, 32 bits, https://www.rfc-editor.org/rfc/rfc9923): notices mistakes, such as a
 * page token of another list. It is no seal: whoever wants to can make a text that fits.
 */
export function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
