/** The suite's server mode: reads which server is wanted, starts it, says where it is, and ends it when told to. */
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "../gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { readMessages, writeMessage } from "./messages.ts";

export interface WantedServer {
  /** The largest message it takes; 0: the suite sets no limit. */
  readonly maxRequestBytes: number;
  /** PEM texts; undefined: without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

export interface StartedServer extends AsyncDisposable {
  /** "127.0.0.1:40123" */
  readonly address: string;
}

/** Both versions of HTTP and all protocols are spoken by every server of ours: the suite's other wishes ask for nothing. */
export async function runCompatServer(start: (wanted: WantedServer) => Promise<StartedServer>): Promise<void> {
  for await (const request of readMessages(process.stdin, ServerCompatRequestSchema)) {
    const { messageReceiveLimit, serverCreds, useTls } = request;
    const creds = useTls ? serverCreds : undefined;
    const server = await start({
      maxRequestBytes: messageReceiveLimit,
      tls: creds && { cert: new TextDecoder().decode(creds.cert), key: new TextDecoder().decode(creds.key) },
    });
    process.once("SIGTERM", () => server[Symbol.asyncDispose]().then(() => process.exit()));
    const { hostname, port } = new URL(`http://${server.address}`);
    await writeMessage(process.stdout, ServerCompatResponseSchema, {
      host: hostname,
      port: Number(port),
      ...(creds && { pemCert: creds.cert }),
    });
  }
}
