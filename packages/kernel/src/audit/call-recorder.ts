/**
 * Reports calls to the audit log that no transaction of their own reported: refusals, failures and audited reads. They
 * are counted together per actor, method, object, outcome and reason for a moment and then published, so that a flood of
 * refusals costs a few events a second. What a crash or a full buffer takes is counted, and only that: writes report
 * themselves in the transaction that makes the change.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";
import { newId } from "@switchboard/contract/ids";
import { formatTraceparent } from "@switchboard/contract/trace-context";
import { type CallRecorded, CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import type { Logger } from "pino";
import type { Bus } from "../bus/bus.ts";
import type { Origin } from "../database/database.ts";

export interface CallRecord {
  readonly origin: Origin;
  /** "switchboard.identity.v1.IdentityService/GetUser" */
  readonly method: string;
  /** As `type:id`; empty: not known. */
  readonly object: string;
  readonly outcome: CallRecorded["outcome"];
  /** Empty: none. */
  readonly reason: string;
}

export interface CallRecorder extends AsyncDisposable {
  record(record: CallRecord): void;
  /** Calls whose record was given up, because too many different ones waited. */
  dropped(): number;
}

/** Well within the 2 s after which an act is to be seen in the log. */
const GATHER_MS = 250;
const RETRY_MS = 1_000;
const MAX_WAITING = 10_000;

interface Gathered {
  readonly id: string;
  readonly time: string;
  readonly record: CallRecord;
  count: bigint;
}

export function openCallRecorder(options: {
  readonly bus: Bus;
  /** The process's service: the topic that the records go to. */
  readonly service: string;
  readonly log: Logger;
  readonly now: () => number;
}): CallRecorder {
  const { bus, service, log, now } = options;
  let gathering = new Map<string, Gathered>();
  let publishing: readonly EventEnvelope[] = [];
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const publish = async () => {
    if (publishing.length === 0) {
      publishing = Array.from(gathering.values(), (gathered) => envelope(service, gathered));
      gathering = new Map();
    }
    if (publishing.length === 0) return;
    try {
      await bus.publish(publishing);
      publishing = [];
      if (gathering.size > 0) schedule(GATHER_MS);
    } catch (error) {
      // The same ids come again: Audit takes each once.
      log.warn({ err: error, records: publishing.length }, "calls could not be reported to the audit log yet");
      schedule(RETRY_MS);
    }
  };
  const schedule = (delayMs: number) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      running = publish();
    }, delayMs);
  };
  return {
    record(record) {
      const { origin, method, object, outcome, reason } = record;
      const key = `${origin.actor}\n${method}\n${object}\n${outcome}\n${reason}`;
      const same = gathering.get(key);
      if (same) {
        same.count += 1n;
      } else if (gathering.size < MAX_WAITING) {
        gathering.set(key, { id: newId(), time: new Date(now()).toISOString(), record, count: 1n });
        schedule(GATHER_MS);
      } else {
        dropped += 1;
      }
    },
    dropped: () => dropped,
    async [Symbol.asyncDispose]() {
      clearTimeout(timer);
      await running;
      // What waits for a repetition, then what was gathered since.
      await publish();
      if (publishing.length === 0) await publish();
      clearTimeout(timer);
    },
  };
}

function envelope(service: string, { id, time, record, count }: Gathered): EventEnvelope {
  const { origin, method, object, outcome, reason } = record;
  const fact = create(CallRecordedSchema, { actor: origin.actor, method, object, outcome, reason, count });
  return {
    id,
    source: service,
    type: CallRecordedSchema.typeName,
    key: origin.actor,
    time,
    actor: origin.actor,
    traceparent: origin.trace ? formatTraceparent(origin.trace) : "",
    data: toBinary(CallRecordedSchema, fact),
  };
}
