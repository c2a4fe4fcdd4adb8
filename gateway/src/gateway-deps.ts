/** What a gateway needs, all of it given: in a test each can be made by hand. */
import type { DescService } from "@bufbuild/protobuf";
import type { PolicyOverlay } from "@switchboard/contract/policy";
import type { CallRecord } from "@switchboard/kernel/audit/call-recorder";
import type { Instance, Registry } from "@switchboard/kernel/registry/registry";
import type { Authorizer } from "@switchboard/kernel/rpc/authorizer";
import type { ChannelTls } from "@switchboard/kernel/rpc/session";
import type { State } from "@switchboard/kernel/state/state";
import type { Metrics } from "@switchboard/kernel/telemetry/metrics";
import type { Revocations } from "@switchboard/kernel/trust/revocations";
import type { TokenVerifier } from "@switchboard/kernel/trust/token-verifier";
import type { Logger } from "pino";
import type { ExchangedKey } from "./api-keys.ts";
import type { GatewayConfig } from "./config.ts";

export interface GatewayDeps {
  readonly registry: Registry;
  readonly state: Pick<State, "take">;
  readonly verifier: Pick<TokenVerifier, "verifyAccessToken">;
  readonly revocations: Pick<Revocations, "isRevoked">;
  /** Auth's ExchangeApiKey. */
  readonly exchangeApiKey: (secret: string) => Promise<ExchangedKey>;
  readonly authorizer: Authorizer;
  /** The descriptors of what an instance serves, from its reflection. */
  readonly contractOf: (instance: Instance) => Promise<readonly DescService[]>;
  /** Policies for methods whose contracts have none, because they are somebody else's. Default: such methods are not routed. */
  readonly policyOverlay?: PolicyOverlay | undefined;
  /** Whether an instance says that one of its services can serve. */
  readonly healthOf: (instance: Instance, service: string) => Promise<boolean>;
  /** How instances are called; undefined: without TLS. */
  readonly clientTls?: ChannelTls | undefined;
  /** What the gateway's process lacks; empty: ready. */
  readonly problems: () => readonly string[];
  /** The gateway's own service token, asked for before each call that is passed on. */
  readonly serviceToken: () => Promise<string>;
  /** Takes refusals for the audit log. */
  readonly recordCall: (record: CallRecord) => void;
  readonly log: Logger;
  readonly metrics?: Pick<Metrics, "serverDuration"> | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly config: GatewayConfig;
  /**
   * The gateway's own refusals without a google.rpc.ErrorInfo, and without a body where the HTTP status says it all: what the
   * conformance suite compares with. Default false.
   */
  readonly bareErrors?: boolean;
}

export interface Gateway extends AsyncDisposable {
  /** "127.0.0.1:8080" */
  readonly address: string;
  /** Undefined: it can serve. Otherwise what it lacks, for readiness. */
  problem(): string | undefined;
  /**
   * Ends in order: no new connections, GOAWAY, open streams end with `unavailable`, unary calls under way finish, for
   * `graceMs` at most. Then whatever is left is cut. Resolves when nothing is open.
   */
  drain(graceMs: number): Promise<void>;
  /** Calls that passed without being counted, because the state's engine was away. */
  uncountedCalls(): number;
}
