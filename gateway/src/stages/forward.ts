/**
 * Sends the call to an instance that has the method, and again to another where that is safe: calls that may be repeated
 * until the caller got the first byte of an answer, all others only while provably nobody began with them.
 */
import type { ClientHttp2Stream } from "node:http2";
import { AppError } from "@switchboard/contract/app-error";
import type { Pick } from "@switchboard/kernel/rpc/balancer";
import { PeerFault } from "@switchboard/kernel/rpc/peer-fault";
import { createRetry, type Failure, type Retry } from "@switchboard/kernel/rpc/retry";
import type { Session } from "@switchboard/kernel/rpc/session";
import type { Answering, GatewayCall } from "../gateway-call.ts";
import type { Stage } from "../pipeline.ts";
import { requestHeaders } from "../request-headers.ts";
import type { Route } from "../route-table.ts";
import { AnswerScan } from "../upstreams/answer-scan.ts";
import { type AnswerStart, holdAnswer, NO_START } from "../upstreams/answer-start.ts";
import { cancelStream } from "../upstreams/cancel-stream.ts";
import { relayAnswer } from "../upstreams/relay.ts";
import { createRequestBody } from "../upstreams/request-body.ts";
import type { Upstreams } from "../upstreams/upstreams.ts";

export interface ForwardOptions {
  readonly upstreams: Upstreams;
  /** The table's newest route of a path: a retry may find other instances than the first attempt. */
  readonly find: (path: string) => Route | undefined;
  /** This gateway's own token. */
  readonly serviceToken: () => Promise<string>;
  readonly scheme: "http" | "https";
  readonly behindProxy: (call: GatewayCall) => boolean;
  readonly now: () => number;
  readonly random: () => number;
}

/** END_STREAM, RFC 9113, section 6.2. */
const END_STREAM = 0x01;
/** gRPC's UNAVAILABLE. */
const UNAVAILABLE = "14";

export function forward(options: ForwardOptions): Stage {
  return (call) => new Forwarding(call, options).run();
}

/** What came of one attempt: an answer that is on its way, or why there is none. */
type Attempt = "relayed" | PeerFault;

class Forwarding {
  readonly #call: GatewayCall;
  readonly #options: ForwardOptions;
  readonly #tried = new Set<string>();
  readonly #body: ReturnType<typeof createRequestBody>;
  readonly #retry: Retry;
  readonly #repeatable: boolean;
  #stream: ClientHttp2Stream | undefined;
  #relay: Answering | undefined;
  #wake: (() => void) | undefined;

  constructor(call: GatewayCall, options: ForwardOptions) {
    this.#call = call;
    this.#options = options;
    const { upstreams, now, random } = options;
    this.#repeatable = call.unary && call.route.policy.repeatable;
    const budget = upstreams.budget(call.route);
    this.#retry = createRetry({ repeatable: this.#repeatable, budget, now, random });
    this.#body = createRequestBody(call, {
      onTooLarge: (error) => this.#end(error),
      onUnusable: (error) => {
        this.#giveUp();
        if (call.exchange.begun) call.exchange.reset();
        else call.refuse(error);
      },
    });
    call.answerBy({ end: (error) => this.#end(error), abandon: () => this.#giveUp() });
  }

  async run(): Promise<void> {
    const { upstreams, find, serviceToken } = this.#options;
    const call = this.#call;
    const token = await serviceToken();
    while (!call.ended) {
      const route = find(call.path) ?? call.route;
      const pick = upstreams.pick(route, this.#tried);
      const attempt = pick ? await this.#attempt(pick, token) : undefined;
      if (attempt === "relayed" || call.ended) return;
      if (pick) this.#tried.add(pick.instance.instanceId);
      const failure: Failure = {
        maybeProcessed: attempt?.maybeProcessed ?? false,
        transient: true,
        pushbackMs: undefined,
      };
      const decision = this.#retry.after(failure, upstreams.othersLeft(route, this.#tried));
      if ("giveUp" in decision || !this.#body.resendable()) {
        const why = "giveUp" in decision ? decision.giveUp : "the request was already sent";
        throw new AppError("SERVICE_UNAVAILABLE", `the service cannot be reached at the moment: ${why}`, {
          cause: attempt,
          metadata: { service: route.service },
          retryAfterMs: 1_000,
        });
      }
      await this.#pause(decision.delayMs);
    }
  }

  async #attempt(pick: Pick, serviceToken: string): Promise<Attempt> {
    const { behindProxy, now, scheme, upstreams } = this.#options;
    const call = this.#call;
    const { instance } = pick;
    let session: Session;
    try {
      session = await upstreams.sessions(instance).acquire();
      if (call.ended) {
        pick.done("neutral");
        return "relayed";
      }
      const headers = requestHeaders(call, {
        instanceAddress: instance.address,
        scheme,
        serviceToken,
        behindProxy: behindProxy(call),
        now: now(),
      });
      this.#stream = session.request(headers, !call.exchange.hasBody);
    } catch (error) {
      const fault =
        error instanceof PeerFault ? error : new PeerFault("unreachable", false, "no stream could be opened", error);
      pick.done("failure");
      return fault;
    }
    const stream = this.#stream;
    this.#body.sendTo(stream);
    const answer = await this.#answerOf(stream);
    if (answer === undefined) {
      this.#body.detach();
      pick.done(call.ended ? "neutral" : "failure");
      return session.faultOf(stream);
    }
    return this.#relayed(pick, stream, ...answer);
  }

  /** What began to come, and the start of it; undefined: nothing did, or not enough of it. */
  #answerOf(stream: ClientHttp2Stream): Promise<readonly [AnswerScan, AnswerStart] | undefined> {
    return new Promise((resolve) => {
      const closed = () => resolve(undefined);
      stream.once("close", closed);
      stream.once("response", (head, flags) => {
        stream.off("close", closed);
        const scan = new AnswerScan(this.#call.protocol, head);
        if ((flags & END_STREAM) !== 0) resolve([scan, { chunks: [], ended: true }]);
        else if (!this.#repeatable || !this.#body.resendable()) resolve([scan, NO_START]);
        else holdAnswer(stream, scan).then((start) => resolve(start && [scan, start]));
      });
    });
  }

  #relayed(pick: Pick, stream: ClientHttp2Stream, scan: AnswerScan, start: AnswerStart): Promise<Attempt> {
    const call = this.#call;
    const unavailable = scan.status === 503 || scan.grpcStatus() === UNAVAILABLE;
    const budget = this.#options.upstreams.budget(call.route);
    this.#body.forget();
    return new Promise((resolve) => {
      try {
        this.#relay = relayAnswer(call, stream, scan, start, {
          onMessage: () => pick.answered(),
          onDone(complete) {
            pick.done(unavailable ? "failure" : complete ? "success" : call.ended ? "neutral" : "failure");
            if (complete && !unavailable) budget.succeeded();
            resolve("relayed");
          },
        });
      } catch (error) {
        // A header that Node does not send on.
        cancelStream(stream);
        pick.done("success");
        call.refuse(error);
        resolve("relayed");
      }
    });
  }

  /** Waits, until an instance comes or goes at the longest. */
  #pause(delayMs: number): Promise<void> {
    if (delayMs === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        stopWaiting();
        resolve();
      };
      const timer = setTimeout(wake, delayMs);
      const stopWaiting = this.#options.upstreams.onceChanged(wake);
      this.#wake = wake;
    });
  }

  #end(error: AppError): void {
    if (this.#relay) {
      this.#relay.end(error);
    } else {
      this.#call.refuse(error);
      this.#giveUp();
    }
  }

  #giveUp(): void {
    this.#relay?.abandon();
    if (this.#stream) cancelStream(this.#stream);
    this.#wake?.();
  }
}
