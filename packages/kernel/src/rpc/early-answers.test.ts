/** Answers over HTTP/2 that end while their request goes on: they arrive whole, and then the request is stopped. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { describe, test } from "node:test";
import { AuditService } from "@switchboard/gen/switchboard/audit/v1/audit_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { envelope } from "./test/raw-request.ts";
import { serverUnderTest } from "./test/server-under-test.ts";

/** More than the megabyte that a method takes, and than what may be on its way unread. */
const LARGE = new Uint8Array(5 * 1024 * 1024);
const getUser = `/${IdentityService.typeName}/GetUser`;
const watchEvents = `/${AuditService.typeName}/WatchEvents`;

interface Case {
  readonly type: string;
  readonly path: string;
  readonly message: Uint8Array;
  /** What the answer ends with. */
  readonly told: RegExp;
}

const cases: Readonly<Record<string, Case>> = {
  "Connect, unary": { type: "application/proto", path: getUser, message: LARGE, told: /429.*resource_exhausted/s },
  "Connect, stream": {
    type: "application/connect+proto",
    path: watchEvents,
    message: envelope(LARGE),
    told: /200.*resource_exhausted/s,
  },
  gRPC: { type: "application/grpc+proto", path: getUser, message: envelope(LARGE), told: /200.*grpc-status: 8/s },
  "gRPC-Web": {
    type: "application/grpc-web+proto",
    path: getUser,
    message: envelope(LARGE),
    told: /200.*grpc-status: 8/s,
  },
  "no method": {
    type: "application/grpc+proto",
    path: `${getUser}s`,
    message: envelope(LARGE),
    told: /grpc-status: 12/,
  },
};

for (const [name, { type, path, message, told }] of Object.entries(cases)) {
  describe(`${name}: a request that is too large`, { timeout: 20_000 }, () => {
    for (const [how, sent, ends] of [
      ["is sent to its end", message, true],
      ["is left open", message.subarray(0, 2 * 1024 * 1024), false],
      ["has only begun", message.subarray(0, 10), false],
    ] as const) {
      // Without a length in front nobody knows that more is coming.
      if (sent.length === 10 && name === "Connect, unary") continue;
      test(`and ${how}: its answer arrives, and the stream is over`, async () => {
        await using under = await serverUnderTest();
        const credentials = Object.fromEntries(await under.fromOutside("ada"));
        const session = connect(under.url, { maxSessionMemory: 100 });
        const answers = await Promise.all(Array.from({ length: 5 }, () => call(credentials)));
        for (const answer of answers) assert.match(answer, told);
        session.destroy();

        async function call(headers: Record<string, string>): Promise<string> {
          const stream = session.request({
            ...headers,
            ":method": "POST",
            ":path": path,
            "content-type": type,
            te: "trailers",
          });
          let text = "";
          const note = (block: object) => {
            for (const [field, value] of Object.entries(block)) text += `${field}: ${value}\n`;
          };
          stream.on("response", note).on("trailers", note);
          stream.on("data", (chunk: Buffer) => {
            text += chunk.toString("latin1");
          });
          stream.on("error", () => {});
          if (ends) stream.end(sent);
          else stream.write(sent);
          await once(stream, "close");
          assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
          return text;
        }
      });
    }
  });
}
