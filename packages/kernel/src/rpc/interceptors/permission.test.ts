import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConnectError } from "@connectrpc/connect";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { BadRequestSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { AuditService, Outcome } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import type { Authorizer } from "../authorizer.ts";
import { reasonOf } from "../errors.ts";
import { protocols, type ServerUnderTest, serverUnderTest } from "../test/server-under-test.ts";

async function start(answer: boolean | Error): Promise<{ under: ServerUnderTest; asked: string[]; seen: string[] }> {
  const asked: string[] = [];
  const seen: string[] = [];
  const authorizer: Authorizer = {
    async check(...question) {
      asked.push(question.join(" "));
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const under = await serverUnderTest(
    {
      identity: {
        getUser: ({ userId }) => {
          seen.push(userId);
          return {};
        },
        updateUser: ({ user }) => {
          seen.push(user?.userId ?? "");
          return {};
        },
        listUsers: () => ({}),
      },
      audit: {
        async *watchEvents() {
          yield { event: { eventId: "1" } };
        },
      },
    },
    { authorizer },
  );
  return { under, asked, seen };
}

async function failure(call: Promise<unknown>, reason: ReasonName): Promise<ConnectError> {
  const error = await call.then(
    () => assert.fail("the call was answered"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ConnectError);
  assert.equal(reasonOf(error), reason, String(error));
  return error;
}

describe("the object of a permission", () => {
  test("comes from the request, also from inside of a message", async () => {
    const { under, asked, seen } = await start(true);
    await using _ = under;
    const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
    await client.getUser({ userId: "bob" });
    await client.updateUser({ user: { userId: "bob" } });
    await client.listUsers({});
    assert.deepEqual(asked, [
      "user:ada view user:bob",
      "user:ada update user:bob",
      "user:ada view_users platform:switchboard",
    ]);
    assert.deepEqual(seen, ["bob", "bob"]);
  });

  for (const protocol of protocols) {
    test(`is the caller where the request says \`me\`, and the handler sees the id, over ${protocol}`, async () => {
      const { under, asked, seen } = await start(true);
      await using _ = under;
      const client = under.client(IdentityService, protocol, await under.fromOutside("ada"));
      await client.getUser({ userId: "me" });
      await client.updateUser({ user: { userId: "me" } });
      assert.deepEqual(asked, ["user:ada view user:ada", "user:ada update user:ada"]);
      assert.deepEqual(seen, ["ada", "ada"]);
    });
  }

  test("is nobody's where a service says `me`", async () => {
    const { under, seen } = await start(true);
    await using _ = under;
    const client = under.client(IdentityService, "grpc", await under.fromService("notes"));
    await failure(client.getUser({ userId: "me" }), "INVALID_FIELD");
    await client.getUser({ userId: "bob" });
    assert.deepEqual(seen, ["bob"]);
  });

  for (const [name, request, field] of [
    ["is missing", {}, "user.user_id"],
    ["is empty", { user: { userId: "" } }, "user.user_id"],
    ["is a set of subjects", { user: { userId: "x#member" } }, "user.user_id"],
    ["has two types", { user: { userId: "x:y" } }, "user.user_id"],
    ["is too long", { user: { userId: "x".repeat(129) } }, "user.user_id"],
  ] as const) {
    test(`that ${name} is INVALID_FIELD, and Authz is not asked`, async () => {
      const { under, asked, seen } = await start(true);
      await using _ = under;
      const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
      const error = await failure(client.updateUser(request), "INVALID_FIELD");
      const [badRequest] = error.findDetails(BadRequestSchema);
      assert.equal(badRequest?.fieldViolations[0]?.field, field);
      assert.deepEqual([asked, seen], [[], []]);
    });
  }
});

describe("without a clear yes nobody passes:", () => {
  test("a no is PERMISSION_DENIED, names what is missing, and is recorded with its object", async () => {
    const { under, seen } = await start(false);
    await using _ = under;
    const client = under.client(IdentityService, "connect over h2c", await under.fromOutside("ada"));
    const error = await failure(client.getUser({ userId: "bob" }), "PERMISSION_DENIED");
    assert.match(error.rawMessage, /"view" on user:bob/);
    assert.deepEqual(seen, []);
    assert.partialDeepStrictEqual(under.records, [
      { object: "user:bob", outcome: Outcome.DENIED, reason: "PERMISSION_DENIED", origin: { actor: "user:ada" } },
    ]);
  });

  test("a failing Authz is AUTHZ_UNAVAILABLE, and its own words stay in the log", async () => {
    const { under, seen } = await start(new Error("connect ECONNREFUSED 10.0.0.7"));
    await using _ = under;
    const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
    const error = await failure(client.getUser({ userId: "bob" }), "AUTHZ_UNAVAILABLE");
    assert.ok(!error.rawMessage.includes("10.0.0.7"));
    assert.ok(JSON.stringify(under.lines).includes("10.0.0.7"));
    assert.deepEqual(seen, []);
  });

  test("a reason of Authz's own is kept", async () => {
    const { under } = await start(new AppError("GRAPH_TOO_DEEP", "too deep"));
    await using _ = under;
    const client = under.client(IdentityService, "grpc", await under.fromOutside("ada"));
    await failure(client.getUser({ userId: "bob" }), "GRAPH_TOO_DEEP");
  });

  test("the same holds for streams", async () => {
    for (const answer of [true, false]) {
      const { under, asked } = await start(answer);
      await using _ = under;
      const client = under.client(AuditService, "grpc", await under.fromOutside("ada"));
      const events = Array.fromAsync(client.watchEvents({}));
      if (answer) assert.equal((await events).length, 1);
      else await failure(events, "PERMISSION_DENIED");
      assert.deepEqual(asked, ["user:ada view_events platform:switchboard"]);
    }
  });
});
