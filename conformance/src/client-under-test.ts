/** The program that the suite starts in its client mode: makes each call of standard input with the platform's channel. */
import {
  ClientCompatRequestSchema,
  ClientCompatResponseSchema,
} from "../gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { makeCall } from "./call.ts";
import { openChannels } from "./channels.ts";
import { readMessages, writeMessage } from "./messages.ts";

/** Calls under way at once. */
const PARALLEL = 8;

await using channels = openChannels();
const running = new Set<Promise<void>>();
for await (const request of readMessages(process.stdin, ClientCompatRequestSchema)) {
  const { testName } = request;
  const done = makeCall(channels.of(request), request)
    .then(
      (response) => ({ case: "response" as const, value: response }),
      (error: unknown) => ({ case: "error" as const, value: { message: String(error) } }),
    )
    .then((result) => writeMessage(process.stdout, ClientCompatResponseSchema, { testName, result }))
    .finally(() => running.delete(done));
  running.add(done);
  if (running.size >= PARALLEL) await Promise.race(running);
}
await Promise.all(running);
