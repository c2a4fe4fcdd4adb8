/** A browser, over Connect-Web and gRPC-Web, from a page of another origin: sign up, call, be refused, follow a stream. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { startTestPlatform } from "@switchboard/testkit/platform";
import { chromium } from "playwright-core";
import { servePage } from "./browser-modules.ts";
import { adminToken } from "./client.ts";

const executablePath = "/usr/bin/chromium";

test("Connect-Web in Chromium", {
  skip: existsSync(executablePath) ? false : "no Chromium on this machine: install Debian's package chromium",
}, async () => {
  await using platform = await startTestPlatform();
  await using page = await servePage();
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
  });
  try {
    const tab = await browser.newPage();
    await tab.goto(page.url);
    const admin = await adminToken(platform.url);
    const seen = await tab.evaluate(inTheBrowser, { url: platform.url, admin });
    for (const protocol of ["connect", "grpc-web"] as const) {
      assert.deepEqual(seen[protocol], {
        displayName: "Ada",
        byGet: "Ada",
        anonymous: "[unauthenticated]",
        refused: "[permission_denied]",
        streamed: true,
      });
    }
  } finally {
    await browser.close();
  }
});

/** Runs in the page: only what it imports there is at hand. */
async function inTheBrowser({ url, admin }: { url: string; admin: string }) {
  const load = (path: string) => import(path);
  const { createClient } = await load("@connectrpc/connect");
  const { createConnectTransport, createGrpcWebTransport } = await load("@connectrpc/connect-web");
  const gen = "/gen/src/switchboard";
  const { AuthService } = await load(`${gen}/auth/v1/auth_service_pb.ts`);
  const { IdentityService } = await load(`${gen}/identity/v1/identity_service_pb.ts`);
  const { AuditService } = await load(`${gen}/audit/v1/audit_service_pb.ts`);
  const codeOf = (error: unknown) => /^\[\w+\]/.exec((error as Error).message)?.[0];

  const journey = async (transport: unknown, getTransport: unknown) => {
    const email = `${crypto.randomUUID()}@example.com`;
    const signedUp = await createClient(AuthService, transport).signUp({
      email,
      password: "a password for the browser",
      displayName: "Ada",
    });
    const headers = { authorization: `Bearer ${signedUp.tokens.accessToken}` };
    const identity = createClient(IdentityService, transport);
    const { user } = await identity.getUser({ userId: "me" }, { headers });
    const byGet = await createClient(IdentityService, getTransport).getUser({ userId: "me" }, { headers });
    const anonymous = await identity.getUser({ userId: "me" }).catch(codeOf);
    const refused = await identity.listUsers({}, { headers }).catch(codeOf);
    const asAdmin = { headers: { authorization: `Bearer ${admin}` } };
    let streamed = false;
    for await (const { event } of createClient(AuditService, transport).watchEvents({ afterSequence: 0n }, asAdmin)) {
      streamed = event.sequence === 1n;
      break;
    }
    return { displayName: user.displayName, byGet: byGet.user.displayName, anonymous, refused, streamed };
  };
  const connect = createConnectTransport({ baseUrl: url });
  const grpcWeb = createGrpcWebTransport({ baseUrl: url });
  return {
    connect: await journey(connect, createConnectTransport({ baseUrl: url, useHttpGet: true })),
    "grpc-web": await journey(grpcWeb, grpcWeb),
  };
}
