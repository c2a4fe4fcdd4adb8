/** TLS at the door, and between all processes where an authority is named. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { cert, key } from "@switchboard/kernel/rpc/certificate.fake";
import { startTestPlatform } from "@switchboard/testkit/platform";
import { outcomeOf } from "./client.ts";

let folder: string;
const file = (name: string) => join(folder, name);
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "switchboard-tls-"));
  await Promise.all([writeFile(file("cert.pem"), cert), writeFile(file("key.pem"), key)]);
});
after(() => rm(folder, { recursive: true }));

for (const between of [false, true]) {
  test(`TLS at the door${between ? " and between the processes" : ""}`, async () => {
    await using platform = await startTestPlatform({
      environment: {
        SWITCHBOARD_TLS_CERT: file("cert.pem"),
        SWITCHBOARD_TLS_KEY: file("key.pem"),
        ...(between && { SWITCHBOARD_TLS_CA: file("cert.pem") }),
      },
    });
    assert.match(platform.url, /^https:/);
    const common = { baseUrl: platform.url, nodeOptions: { ca: cert } };
    for (const transport of [
      createGrpcTransport(common),
      createConnectTransport({ ...common, httpVersion: "1.1" }),
      createConnectTransport({ ...common, httpVersion: "2" }),
    ]) {
      const anybody = createClient(IdentityService, transport);
      assert.equal(await outcomeOf(anybody.getUser({ userId: "me" })), "unauthenticated CREDENTIAL_MISSING");
    }
    const untrusted = createClient(IdentityService, createGrpcTransport({ baseUrl: platform.url }));
    assert.match(await outcomeOf(untrusted.getUser({ userId: "me" })), /without a reason/);
  });
}
