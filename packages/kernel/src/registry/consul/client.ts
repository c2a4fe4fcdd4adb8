/**
 * The calls of Consul's HTTP interface that the registry makes, each with a time-out, and its two ways to fail told apart.
 * It keeps no state and repeats nothing.
 */
import { EventEmitter } from "node:events";
import { Agent as HttpAgent, type IncomingHttpHeaders } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Consul from "consul";

export interface ConsulClientOptions {
  /** http://host:port or https://host:port of the agent. */
  readonly url: string;
  /** The ACL token. Default: none, the anonymous one. */
  readonly token?: string | undefined;
  /** PEM texts. Default: the system's authorities and no certificate of our own. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
}

/** Consul did not answer, or says that it cannot: it may have done what it was asked, or not. Asking again may help. */
export class ConsulAway extends Error {
  override readonly name = "ConsulAway";
}

/** Consul understood and said no. */
export class ConsulRefusal extends Error {
  override readonly name = "ConsulRefusal";
  readonly status: number;

  constructor(status: number, text: string, cause: unknown) {
    super(text, { cause });
    this.status = status;
  }

  /** The token is not one that this Consul has: it was not made yet, or went with an agent that keeps nothing. */
  get tokenUnknown(): boolean {
    return this.status === 403 && /ACL not found|token does not exist/i.test(this.message);
  }
}

/** An answer and the headers that came with it. */
export interface Answer<T> {
  readonly value: T;
  /** X-Consul-Index; 0 where there is none. */
  readonly index: number;
  /** The agent's clock, Unix milliseconds, in whole seconds; undefined where it does not say. */
  readonly timeMs: number | undefined;
}

export interface Call {
  readonly signal?: AbortSignal | undefined;
  /** Answer when the index is above this one, or the wait is over. Undefined: at once. */
  readonly index?: number | undefined;
  readonly waitMs?: number;
}

export interface RawRequest {
  readonly method: "GET" | "PUT" | "DELETE";
  /** "/acl/policy" */
  readonly path: string;
  readonly body?: unknown;
}

const TIMEOUT_MS = 3_000;

type Method = (options: never) => Promise<unknown>;
interface PapiResponse {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body?: unknown;
}
/** What the client is built on; the only way to calls that it has no method for. */
interface Papi {
  _request(options: object): Promise<PapiResponse>;
}

export class ConsulClient {
  readonly api: Consul;
  readonly #agent: HttpAgent;
  readonly #token: string | undefined;

  constructor({ url, token, tls }: ConsulClientOptions) {
    const { protocol, hostname, port } = new URL(url);
    const secure = protocol === "https:";
    this.#agent = secure ? new HttpsAgent({ keepAlive: true, ...tls }) : new HttpAgent({ keepAlive: true });
    this.#token = token;
    this.api = new Consul({
      host: hostname,
      port: Number(port) || (secure ? 443 : 80),
      secure,
      agent: this.#agent,
      ...(token !== undefined && { defaults: { token } }),
    });
  }

  /** Calls a method of the client library. @throws ConsulAway, ConsulRefusal */
  async call<T>(target: object, method: Method, options: object, call: Call = {}): Promise<Answer<T>> {
    const { signal, index, waitMs = 0 } = call;
    signal?.throwIfAborted();
    const context = Object.assign(new EventEmitter(), { includeResponse: true });
    const cancel = () => context.emit("cancel");
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const all = {
        ...options,
        ctx: context,
        // Consul adds up to a sixteenth to a wait.
        timeout: TIMEOUT_MS + waitMs * 1.1,
        ...(index !== undefined && { index, wait: `${waitMs}ms` }),
      };
      const [response, value] = (await method.call(target, all as never)) as [PapiResponse, T];
      return { value, index: indexOf(response), timeMs: timeOf(response) };
    } catch (error) {
      signal?.throwIfAborted();
      throw failureOf(error);
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** A call that the client library has no method for. @throws ConsulAway, ConsulRefusal */
  async request<T>({ method, path, body }: RawRequest): Promise<T> {
    try {
      const response = await (this.api as unknown as Papi)._request({
        method,
        path,
        type: "json",
        timeout: TIMEOUT_MS,
        headers: this.#token === undefined ? {} : { "x-consul-token": this.#token },
        ...(body !== undefined && { body }),
      });
      return response.body as T;
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** Breaks what is under way. */
  close(): void {
    this.#agent.destroy();
  }
}

function indexOf({ headers }: PapiResponse): number {
  const index = Number(headers["x-consul-index"]);
  return Number.isSafeInteger(index) && index > 0 ? index : 0;
}

function timeOf({ headers }: PapiResponse): number | undefined {
  const time = Date.parse(headers.date ?? "");
  return Number.isNaN(time) ? undefined : time;
}

function failureOf(error: unknown): ConsulAway | ConsulRefusal {
  const response = (error as { response?: PapiResponse }).response;
  if (response === undefined) return new ConsulAway("Consul does not answer", { cause: error });
  const text = typeof response.body === "string" ? response.body.trim() : JSON.stringify(response.body);
  const { statusCode } = response;
  if (statusCode >= 400 && statusCode < 500 && statusCode !== 429) return new ConsulRefusal(statusCode, text, error);
  return new ConsulAway(`Consul answered ${statusCode}: ${text}`, { cause: error });
}
