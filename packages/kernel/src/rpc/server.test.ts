import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { callOf } from "./call.ts";
import { protocols, serverUnderTest } from "./test/server-under-test.ts";

describe("a call is answered", () => {
  for (const protocol of protocols) {
    test(`over ${protocol}`, async () => {
      await using under = await serverUnderTest({
        identity: {
          getUser: ({ userId }, context) => ({ user: { userId, displayName: callOf(context).actor } }),
        },
      });
      const client = under.client(IdentityService, protocol, await under.fromOutside("ada"));
      const { user } = await client.getUser({ userId: "me" });
      assert.equal(user?.userId, "ada");
      assert.equal(user?.displayName, "user:ada");
    });
  }
});
