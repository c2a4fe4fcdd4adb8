/** Safe writes over the table `stored_answer`; see write.ts for what they promise. */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import {
  clone,
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { AppError } from "@switchboard/contract/app-error";
import { isId } from "@switchboard/contract/ids";
import { CallRecordedSchema } from "@switchboard/gen/switchboard/audit/v1/audit_events_pb";
import { Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { sql } from "drizzle-orm";
import { type Call, callOf } from "../rpc/call.ts";
import type { Database, Transaction } from "./database.ts";
import { withoutSensitiveFields } from "./sensitive-fields.ts";
import type { Writes } from "./write.ts";

/** How long an answer is given again. */
export const STORED_ANSWER_LIFETIME_MS = 24 * 3_600_000;
const PURGE_BATCH = 1_000;

/** What a request is recognized by. */
interface Key {
  readonly actor: string;
  readonly method: string;
  readonly requestId: string;
  readonly hash: Buffer;
}

export interface WritesOptions {
  readonly database: Database;
  /**
   * The service's own secret, the same in all its instances. Requests are remembered under a key that is derived from it:
   * they may hold passwords, and the table alone must not let anybody try them. With another secret, a request that comes
   * again is taken for another one.
   */
  readonly secret: string;
  readonly now: () => number;
}

export function createWrites({ database, secret, now }: WritesOptions): Writes {
  const hashKey = new Uint8Array(hkdfSync("sha256", secret, "", "switchboard stored answers", 32));
  return {
    async write(method, request, context, change, { replay } = {}) {
      const call = callOf(context);
      const key = keyOf(call, method.input, request, hashKey);
      const audited = call.policy.audit === "write";
      const answer = await database.transaction(call, async (tx) => {
        const stored = key && (await claim(tx, key, now()));
        if (stored) {
          const earlier = fromBinary(method.output, stored);
          return replay ? create(method.output, await replay(earlier, tx)) : earlier;
        }
        const made = create(method.output, await change(tx));
        if (key) await keep(tx, key, toBinary(method.output, withoutSensitiveFields(method.output, made)));
        if (audited) await tx.publish(CallRecordedSchema, recordOf(call), call.actor);
        return made;
      });
      // The entry of an answer that is given again is that of the first time.
      if (audited) call.audited = true;
      return answer;
    },
  };
}

/** Removes answers that are not given any more; for a job. */
export async function purgeStoredAnswers(database: Database, now: number, signal?: AbortSignal): Promise<number> {
  let removed = 0;
  for (let count = PURGE_BATCH; count === PURGE_BATCH && !signal?.aborted; removed += count) {
    const rows = await database.queries.execute(sql`
      delete from stored_answer where (actor, method, request_id) in (
        select actor, method, request_id from stored_answer where expire_time <= ${now} limit ${PURGE_BATCH})
      returning 1`);
    count = rows.length;
  }
  return removed;
}

/** Undefined: the request cannot be, or is not, recognized. */
function keyOf<I extends DescMessage>(
  call: Call,
  schema: I,
  request: MessageShape<I>,
  hashKey: Uint8Array,
): Key | undefined {
  const field = schema.fields.find(({ name, fieldKind }) => name === "request_id" && fieldKind === "scalar");
  if (field === undefined) return undefined;
  const requestId: unknown = Reflect.get(request, field.localName);
  if (typeof requestId !== "string" || requestId === "") return undefined;
  if (!isId(requestId)) {
    const violations = [{ field: "request_id", description: "must be a UUID, new with every request" }];
    throw new AppError("INVALID_FIELD", "request_id must be a UUID", { violations });
  }
  // The request_id is part of the key already, where letter case does not count.
  const compared = clone(schema, request);
  Reflect.set(compared, field.localName, "");
  const hash = createHmac("sha256", hashKey).update(toBinary(schema, compared)).digest();
  return { actor: call.actor, method: call.policy.name, requestId, hash };
}

/**
 * Makes the request's row, which whoever comes with the same one then waits for; or finds the answer that is there.
 * @throws AppError REQUEST_ID_REUSED
 */
async function claim(tx: Transaction, key: Key, now: number): Promise<Uint8Array | undefined> {
  const claimed = await tx.queries.execute(sql`
    insert into stored_answer as stored (actor, method, request_id, request_hash, expire_time)
    values (${key.actor}, ${key.method}, ${key.requestId}, ${key.hash}, ${now + STORED_ANSWER_LIFETIME_MS})
    on conflict (actor, method, request_id) do update
      set request_hash = excluded.request_hash, expire_time = excluded.expire_time, answer = null
      where stored.expire_time <= ${now}
    returning 1`);
  if (claimed.length > 0) return undefined;
  const [stored] = await tx.queries.execute<{ request_hash: Uint8Array; answer: Uint8Array }>(sql`
    select request_hash, answer from stored_answer where ${isRow(key)}`);
  if (!stored) throw new AppError("CONFLICT", "the same request is being handled; repeat the call");
  if (!timingSafeEqual(stored.request_hash, key.hash)) {
    throw new AppError("REQUEST_ID_REUSED", "this request_id came before with another request; use a new one");
  }
  return stored.answer;
}

async function keep(tx: Transaction, key: Key, answer: Uint8Array): Promise<void> {
  await tx.queries.execute(sql`update stored_answer set answer = ${answer} where ${isRow(key)}`);
}

function isRow({ actor, method, requestId }: Key) {
  return sql`actor = ${actor} and method = ${method} and request_id = ${requestId}`;
}

function recordOf(call: Call): MessageInitShape<typeof CallRecordedSchema> {
  return {
    actor: call.actor,
    method: call.policy.name,
    object: call.object,
    outcome: Outcome.ALLOWED,
    count: 1n,
  };
}
