/**
 * One call on its way through the stages: what came, what the stages found out, and how it ends. It decides nothing; the
 * stages do.
 */
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { REQUEST_ID, TRACEPARENT } from "@switchboard/contract/headers";
import { ANONYMOUS, type Principal } from "@switchboard/contract/principal";
import { requestIdFrom } from "@switchboard/contract/request-id";
import { childOf, parseTraceparent, type TraceContext } from "@switchboard/contract/trace-context";
import { reasonOf, toConnectError } from "@switchboard/kernel/rpc/errors";
import { errorAnswer } from "@switchboard/wire/error-forms";
import { detectProtocol, type Protocol } from "@switchboard/wire/protocol";
import { codeName } from "@switchboard/wire/status";
import type { Exchange } from "./exchange/exchange.ts";
import { webTextExchange } from "./exchange/web-text-exchange.ts";
import type { Route } from "./route-table.ts";
import { wireError } from "./wire-error.ts";

/** Whoever is making the answer: told when the gateway has to end it, or nobody waits for it any more. */
export interface Answering {
  /** Ends the answer with an error, in the caller's protocol where that is possible. */
  end(error: AppError): void;
  /** The caller is gone. */
  abandon(): void;
}

/** Addresses that are not methods' paths, and the calls that they stand for. */
const wellKnown: Readonly<Record<string, string>> = {
  "/.well-known/jwks.json": "/switchboard.auth.v1.AuthService/GetJwks?connect=v1&encoding=json&message=%7B%7D",
};

export class GatewayCall {
  readonly exchange: Exchange;
  readonly protocol: Protocol;
  /** "/switchboard.identity.v1.IdentityService/GetUser" */
  readonly path: string;
  /** Without the question mark. Holds messages of GET calls: never logged. */
  readonly query: string;
  /** Unix milliseconds. */
  readonly arrivalTime: number;
  readonly requestId: string;
  /** This gateway's part of the caller's trace. */
  readonly trace: TraceContext;
  readonly clientAddress: string;
  /** Whether refusals are without details, and without a body where HTTP says it all. */
  readonly bare: boolean;
  /** Go into whatever answer is given. */
  readonly answerHeaders: Record<string, string>;
  /** Set by the stages. */
  principal: Principal = ANONYMOUS;
  accessToken: string | undefined;
  /** Unix milliseconds; undefined: none. */
  deadlineTime: number | undefined;
  /** The HTTP status of a refusal, where it is not the one that belongs to its code. */
  refusalStatus: number | undefined;
  /** How it ended: "ok", "not_found" …; empty: not yet. */
  outcome = "";
  #route: Route | undefined;
  #answering: Answering | undefined;
  #ended = false;

  constructor(exchange: Exchange, clientAddress: string, arrivalTime: number, bare = false) {
    const [path, query] = cutAtMark(exchange.target);
    const meant = exchange.method === "GET" && Object.hasOwn(wellKnown, path) ? wellKnown[path] : undefined;
    [this.path, this.query] = meant === undefined ? [path, query] : cutAtMark(meant);
    this.protocol = detectProtocol(exchange.method, exchange.headers["content-type"], this.query);
    this.exchange = this.protocol.text ? webTextExchange(exchange, this.protocol.contentType) : exchange;
    this.clientAddress = clientAddress;
    this.arrivalTime = arrivalTime;
    this.bare = bare;
    this.requestId = requestIdFrom(single(exchange.headers[REQUEST_ID]));
    this.trace = childOf(parseTraceparent(single(exchange.headers[TRACEPARENT])));
    this.answerHeaders = { [REQUEST_ID]: this.requestId };
    this.exchange.onClosed((finished) => {
      this.#ended = true;
      if (!finished) this.outcome ||= "canceled";
      this.#answering?.abandon();
    });
  }

  /** @throws Error before the stage that finds it. */
  get route(): Route {
    if (this.#route === undefined) throw new Error("the route was asked for before it was found");
    return this.#route;
  }

  set route(route: Route) {
    this.#route = route;
  }

  /** "switchboard.identity.v1.IdentityService/GetUser"; undefined: no such method was found. */
  get method(): string | undefined {
    return this.#route?.policy.name;
  }

  get unary(): boolean {
    return !this.#route?.clientStreaming && !this.#route?.serverStreaming;
  }

  /** Whether nothing more is to be done: it was answered, refused, or left by its caller. */
  get ended(): boolean {
    return this.#ended;
  }

  /** From now on somebody else makes the answer. */
  answerBy(answering: Answering): void {
    this.#answering = answering;
  }

  /** The gateway ends the call. */
  end(error: AppError): void {
    if (this.#ended) return;
    if (this.#answering) this.#answering.end(error);
    else this.refuse(error);
  }

  /** Answers with an error. Only while nothing of an answer was sent. */
  refuse(error: unknown): ReasonName {
    const failure = toConnectError(error, this.trace.traceId);
    const reason = reasonOf(failure) ?? "INTERNAL";
    if (this.#ended) return reason;
    this.#ended = true;
    this.outcome = codeName(failure.code);
    if (error instanceof AppError && error.retryAfterMs !== undefined) {
      this.answerHeaders["retry-after"] = String(Math.ceil(error.retryAfterMs / 1_000));
    }
    if (this.outcome === "unauthenticated") this.answerHeaders["www-authenticate"] = "Bearer";
    if (this.bare && (this.refusalStatus === 405 || this.refusalStatus === 415)) {
      this.exchange.begin(this.refusalStatus, this.answerHeaders, { headersOnly: true });
      return reason;
    }
    const answer = errorAnswer(this.protocol, wireError(failure, this.bare), this.refusalStatus);
    const headersOnly = answer.body.length === 0;
    this.exchange.begin(answer.status, { ...answer.headers, ...this.answerHeaders }, { headersOnly });
    if (headersOnly) return reason;
    this.exchange.write(answer.body);
    this.exchange.end();
    return reason;
  }

  /** Answers with headers alone. */
  answerEmpty(status: number, headers: Readonly<Record<string, string>>): void {
    this.#ended = true;
    this.outcome = "ok";
    this.exchange.begin(status, { ...headers, ...this.answerHeaders }, { headersOnly: true });
  }
}

function cutAtMark(target: string): readonly [path: string, query: string] {
  const mark = target.indexOf("?");
  return mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)];
}

/** The one value of a header; undefined where it is missing or came more than once. */
export function single(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}
