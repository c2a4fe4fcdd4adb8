/** The program that the suite starts in its server mode: one server, as the request on standard input describes it. */
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "../gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { readMessages, writeMessage } from "./messages.ts";
import { serveConformance } from "./served.ts";

for await (const { messageReceiveLimit, serverCreds, useTls } of readMessages(
  process.stdin,
  ServerCompatRequestSchema,
)) {
  const text = (bytes: Uint8Array = new Uint8Array()) => new TextDecoder().decode(bytes);
  const tls = useTls ? { cert: text(serverCreds?.cert), key: text(serverCreds?.key) } : undefined;
  const server = await serveConformance(messageReceiveLimit, tls);
  process.once("SIGTERM", () => server[Symbol.asyncDispose]().then(() => process.exit()));
  const { hostname, port } = new URL(`http://${server.address}`);
  await writeMessage(process.stdout, ServerCompatResponseSchema, {
    host: hostname,
    port: Number(port),
    ...(useTls && serverCreds && { pemCert: serverCreds.cert }),
  });
}
