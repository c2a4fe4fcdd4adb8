/**
 * The fields of one header block, with what RFC 9113, section 8, wants checked noted while they come in. It may be shared by
 * many streams whose blocks were the same bytes, so nobody changes it after it is decoded.
 */
import { FieldKind } from "./field-kind.ts";
import { ENTRY_OVERHEAD_BYTES } from "./hpack-table.ts";

const Flaw = {
  /** A forbidden character, an unknown pseudo-header field, or one behind regular fields or twice. */
  FIELD: 1,
  CONNECTION_FIELD: 2,
  CONTENT_LENGTH: 4,
  HOST: 8,
} as const;

const NO_NAMES: readonly string[] = [];
const DIGITS = /^\d{1,15}$/;

export class HeaderList {
  /** Pseudo-header fields; "": not there. */
  method = "";
  scheme = "";
  authority = "";
  path = "";
  status = "";
  /** All others in their order: name, value, name, value. */
  readonly fields: string[] = [];
  /** Names whose values nobody on the way may put into a table (RFC 7541, section 7.1.3). */
  sensitive: readonly string[] = NO_NAMES;
  /** -1: not there. */
  contentLength = -1;
  /** Names, values and 32 bytes for each field (RFC 9113, section 6.5.2). */
  bytes = 0;
  /** It was longer than allowed, and fields are missing. */
  oversize = false;
  /** For whoever receives the list, to keep what he made of it as long as it is remembered; never read here. */
  memo: unknown = undefined;
  #flaws = 0;
  #seen = 0;
  #host: string | undefined;

  /** @param kind the FieldKind of the name; INVALID where the value has forbidden characters. */
  add(name: string, value: string, kind: number, maxBytes: number): void {
    this.bytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    if (this.bytes > maxBytes) {
      this.oversize = true;
      return;
    }
    switch (kind) {
      case FieldKind.PLAIN:
        this.fields.push(name, value);
        return;
      case FieldKind.METHOD:
        this.method = value;
        break;
      case FieldKind.SCHEME:
        this.scheme = value;
        break;
      case FieldKind.AUTHORITY:
        this.authority = value;
        break;
      case FieldKind.PATH:
        this.path = value;
        break;
      case FieldKind.STATUS:
        this.status = value;
        break;
      case FieldKind.INVALID:
        this.#flaws |= Flaw.FIELD;
        return;
      default:
        this.#addSpecial(name, value, kind);
        return;
    }
    if (this.fields.length > 0 || (this.#seen & (1 << kind)) !== 0) this.#flaws |= Flaw.FIELD;
    this.#seen |= 1 << kind;
  }

  markSensitive(name: string): void {
    if (!this.sensitive.includes(name)) this.sensitive = [...this.sensitive, name];
  }

  #addSpecial(name: string, value: string, kind: number): void {
    if (kind === FieldKind.CONNECTION || (kind === FieldKind.TE && value !== "trailers")) {
      this.#flaws |= Flaw.CONNECTION_FIELD;
    } else if (kind === FieldKind.CONTENT_LENGTH) {
      if (this.contentLength !== -1 || !DIGITS.test(value)) this.#flaws |= Flaw.CONTENT_LENGTH;
      else this.contentLength = Number(value);
    } else if (kind === FieldKind.HOST) {
      if (this.#host !== undefined) this.#flaws |= Flaw.HOST;
      this.#host = value;
    }
    this.fields.push(name, value);
  }

  /** The value of a regular field, its values joined where it comes more than once; undefined: not there. */
  get(name: string): string | undefined {
    let joined: string | undefined;
    for (let i = 0; i < this.fields.length; i += 2) {
      if (this.fields[i] !== name) continue;
      const value = this.fields[i + 1] as string;
      // Cookies may be cut apart on the way (RFC 9113, section 8.2.3).
      joined = joined === undefined ? value : joined + (name === "cookie" ? "; " : ", ") + value;
    }
    return joined;
  }

  /** Why it is no request (RFC 9113, section 8.3.1); undefined: it is one. */
  requestFault(): string | undefined {
    if (this.#flaws !== 0) return this.#flaw();
    if (this.#has(FieldKind.STATUS)) return "a request has no :status";
    if (!this.#has(FieldKind.METHOD) || this.method === "") return "a request needs a :method";
    if (this.method === "CONNECT") {
      const only = this.#has(FieldKind.AUTHORITY) && !this.#has(FieldKind.SCHEME) && !this.#has(FieldKind.PATH);
      return only ? undefined : "CONNECT needs an :authority and neither :scheme nor :path";
    }
    if (this.scheme === "") return "a request needs a :scheme";
    if (this.path === "") return "a request needs a :path";
    if (!this.path.startsWith("/") && !(this.path === "*" && this.method === "OPTIONS")) return ":path begins with /";
    if (this.authority.includes("@")) return ":authority has no user information";
    const differs = this.#has(FieldKind.AUTHORITY) && this.#host !== undefined && this.#host !== this.authority;
    return differs ? "host and :authority differ" : undefined;
  }

  /** Why it is no response (RFC 9113, section 8.3.2); undefined: it is one. */
  responseFault(): string | undefined {
    if (this.#flaws !== 0) return this.#flaw();
    if (this.#seen !== 1 << FieldKind.STATUS) return "a response has a :status and no other pseudo-header field";
    // There is no 101 in HTTP/2 (section 8.6).
    return /^[1-9]\d\d$/.test(this.status) && this.status !== "101" ? undefined : "a :status is three digits";
  }

  /** Why they are no trailers (RFC 9113, section 8.1); undefined: they are. */
  trailersFault(): string | undefined {
    if ((this.#flaws & ~Flaw.CONTENT_LENGTH) !== 0) return this.#flaw();
    return this.#seen !== 0 ? "trailers have no pseudo-header fields" : undefined;
  }

  #has(kind: number): boolean {
    return (this.#seen & (1 << kind)) !== 0;
  }

  #flaw(): string {
    if ((this.#flaws & Flaw.CONNECTION_FIELD) !== 0) return "a field belongs to one connection of HTTP/1.1";
    if ((this.#flaws & Flaw.CONTENT_LENGTH) !== 0) return "content-length is one number";
    if ((this.#flaws & Flaw.HOST) !== 0) return "there is more than one host";
    return "a field is not allowed, comes twice, or has forbidden characters";
  }
}
