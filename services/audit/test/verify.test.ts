import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { newId } from "@switchboard/contract/ids";
import { FaultKind } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { refused } from "@switchboard/testkit/refused";
import { type AuditUnderTest, startAudit } from "./audit-under-test.ts";
import { fact } from "./events.ts";

/** A log of 1,200 entries: more than are read at once. */
async function auditWithLog(): Promise<AuditUnderTest> {
  const audit = await startAudit();
  for (let batch = 0; batch < 6; batch++) {
    await audit.log(
      "identity",
      Array.from({ length: 200 }, () => fact("UserCreated", newId())),
    );
  }
  return audit;
}

async function fault(audit: AuditUnderTest, known: { knownSize?: bigint; knownHead?: string } = {}) {
  const { ok, fault } = await audit.admin.verifyLog(known);
  assert.equal(ok, false, "the log was taken for whole");
  return [fault?.kind, fault?.sequence];
}

describe("VerifyLog", () => {
  test("finds what somebody with all rights did to the tables", async (t) => {
    await using audit = await auditWithLog();
    const whole = await audit.admin.verifyLog({});
    assert.ok(whole.ok, whole.fault?.message);
    assert.equal(whole.size, 1200n);

    await t.test("nothing, where nothing was done", async () => {
      assert.deepEqual(await audit.admin.verifyLog({ knownSize: whole.size, knownHead: whole.head }), whole);
    });

    const batchOf700 = (await audit.headSizes()).findLast((size) => size < 700) ?? 0;
    const tampering: readonly [what: string, statement: string, kind: FaultKind, sequence: bigint][] = [
      [
        "bytes changed",
        "update audit.entries set bytes = bytes || '\\x00' where sequence = 700",
        FaultKind.CHANGED,
        700n,
      ],
      ["a hash changed", "update audit.entries set leaf_hash = sha256('x') where sequence = 1", FaultKind.CHANGED, 1n],
      [
        "bytes changed with their hash",
        `update audit.entries set bytes = b, leaf_hash = sha256('\\x00'::bytea || b)
         from (select set_byte(bytes, length(bytes) - 1, 9) as b from audit.entries where sequence = 700)
         where sequence = 700`,
        FaultKind.CHANGED,
        BigInt(batchOf700 + 1),
      ],
      [
        "an actor hidden from lists",
        "update audit.entries set actor = 'x' where sequence = 1200",
        FaultKind.CHANGED,
        1200n,
      ],
      ["an entry removed", "delete from audit.entries where sequence = 501", FaultKind.MISSING, 501n],
      ["the first entry removed", "delete from audit.entries where sequence = 1", FaultKind.MISSING, 1n],
      [
        "two entries swapped",
        `update audit.entries set sequence = -sequence where sequence in (3, 900);
         update audit.entries set sequence = 903 + sequence where sequence < 0`,
        FaultKind.REORDERED,
        3n,
      ],
      ["the tail cut off", "delete from audit.entries where sequence > 1190", FaultKind.TRUNCATED, 1191n],
      [
        "an entry added",
        `insert into audit.entries select 1201, gen_random_uuid(), source, time, actor, action, object, outcome, reason,
         trace_id, bytes, leaf_hash from audit.entries where sequence = 5`,
        FaultKind.REORDERED,
        1201n,
      ],
    ];
    for (const [what, statement, kind, sequence] of tampering) {
      await t.test(`${what}`, async () => {
        await using _undone = await audit.tamper(statement);
        assert.deepEqual(await fault(audit), [kind, sequence]);
      });
    }

    await t.test("the tail cut off with its heads, by what somebody knows", async () => {
      await using _undone = await audit.tamper(
        "delete from audit.entries where sequence > 1000; delete from audit.heads where size > 1000",
      );
      assert.ok((await audit.admin.verifyLog({})).ok, "nothing in the tables tells");
      const known = { knownSize: whole.size, knownHead: whole.head };
      assert.deepEqual(await fault(audit, known), [FaultKind.TRUNCATED, 1001n]);
    });

    await t.test("a head that is not the one of the beginning", async () => {
      const known = { knownSize: 600n, knownHead: whole.head };
      assert.deepEqual(await fault(audit, known), [FaultKind.TRUNCATED, 0n]);
    });

    await t.test("and is whole again when all is as it was", async () => {
      assert.deepEqual(await audit.admin.verifyLog({}), whole);
    });
  });

  test("takes an earlier size and head when the log has grown, and refuses halves", async () => {
    await using audit = await startAudit();
    const empty = await audit.admin.verifyLog({});
    assert.deepEqual([empty.ok, empty.size, empty.head.slice(0, 8)], [true, 0n, "e3b0c442"]);
    await audit.log("identity", [fact("UserCreated", newId()), fact("UserCreated", newId())]);
    const early = await audit.admin.verifyLog({});
    await audit.log("identity", [fact("UserCreated", newId())]);
    const later = await audit.admin.verifyLog({ knownSize: early.size, knownHead: early.head.toUpperCase() });
    assert.deepEqual([later.ok, later.size], [true, 3n]);
    for (const half of [
      { knownSize: 2n },
      { knownHead: early.head },
      { knownSize: 2n, knownHead: "abc" },
      { knownSize: -1n },
    ]) {
      await refused("INVALID_FIELD", audit.admin.verifyLog(half));
    }
  });
});

describe("the role of the service", () => {
  test("can add to the log, and neither change nor remove", async () => {
    await using audit = await startAudit();
    await audit.log("identity", [fact("UserCreated", newId())]);
    for (const table of ["audit.entries", "audit.heads"]) {
      for (const statement of [`delete from ${table}`, `truncate ${table}`, `drop table ${table}`]) {
        await assert.rejects(audit.runAs("audit", statement), /permission denied|must be owner/);
      }
    }
    await assert.rejects(audit.runAs("audit", "update audit.entries set actor = 'nobody'"), /permission denied/);
    await assert.rejects(audit.runAs("audit", "update audit.heads set head = ''"), /permission denied/);
    for (const statement of [
      "delete from audit.entries",
      "update audit.heads set head = ''",
      "truncate audit.entries",
    ]) {
      await assert.rejects(audit.runAs("audit_owner", statement), /the audit log only grows/);
    }
    assert.ok((await audit.admin.verifyLog({})).ok);
  });
});
