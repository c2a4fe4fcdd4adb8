/** VerifyLog. */
import type { MethodImpl } from "@connectrpc/connect";
import { type AuditService, FaultKind } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { check } from "@switchboard/kernel/rpc/validate";
import type { ServiceDeps } from "@switchboard/kernel/service";
import { z } from "zod";
import { checkLog } from "../rules/check-log.ts";
import { logEnds, storedEntries, storedHeads } from "../store/read.ts";

const fields = z
  .object({
    knownSize: z.bigint().min(0n, "must be 0 or more"),
    knownHead: z.string().regex(/^([0-9a-f]{64})?$/i, "must be the 64 hex characters of an earlier `head`"),
  })
  .refine(({ knownSize, knownHead }) => knownSize > 0n === (knownHead !== ""), {
    message: "goes with known_size: give both of an earlier answer, or neither",
    path: ["knownHead"],
  });

export function verifyLog({ database }: ServiceDeps): MethodImpl<typeof AuditService.method.verifyLog> {
  return async (request, { signal }) => {
    const { knownSize, knownHead } = check(fields, request);
    const ends = await logEnds(database.queries);
    const result = await checkLog({
      entries: storedEntries(database.queries, ends.entries, signal),
      heads: storedHeads(database.queries, ends.heads),
      known: knownHead === "" ? undefined : { size: Number(knownSize), head: Buffer.from(knownHead, "hex") },
    });
    if (result.ok) return { ok: true, size: BigInt(result.size), head: Buffer.from(result.head).toString("hex") };
    const { kind, sequence, message } = result.fault;
    return {
      ok: false,
      size: BigInt(ends.entries),
      fault: { kind: FaultKind[kind], sequence: BigInt(sequence), message },
    };
  };
}
