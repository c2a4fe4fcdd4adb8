/** Every protocol × codec × HTTP version × kind of stream × compression, through the gateway and direct: the same comes back. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type CallOptions, type Client, ConnectError, createClient } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import { FORWARDED, SERVICE_TOKEN } from "@switchboard/contract/headers";
import { ErrorInfoSchema } from "@switchboard/gen/google/rpc/error_details_pb";
import { type GatewayUnderTest, gatewayUnderTest, texts } from "./gateway-under-test.ts";
import { type ProbeDescriptor, ProbeService } from "./probe-service.ts";
import { ALL_PROTOCOLS, isOverHttp1, openTransport } from "./transports.ts";

const long = "ü".repeat(40_000);

/** For a query. */
const short = "ü".repeat(500);

async function everything(client: Client<ProbeDescriptor>, text: string, bidi: boolean) {
  const headers = new Map<string, string | null>();
  const options: CallOptions = {
    headers: { "x-asked": "for" },
    onHeader: (header) => headers.set("header", header.get("x-told")),
    onTrailer: (trailer) => headers.set("trailer", trailer.get("x-told-last")),
  };
  const failure = await client.put({ text: "fail" }).catch(ConnectError.from);
  return {
    unary: (await client.read({ text }, options)).text,
    write: (await client.write({ text: "w" })).text,
    watched: await Array.fromAsync(client.watch({ text: "x" }), ({ text }) => text),
    uploaded: (await client.upload(texts("a", "b", "c"))).text,
    chatted: bidi ? await Array.fromAsync(client.chat(texts("1", "2")), ({ text }) => text) : ["1", "2"],
    headers: Object.fromEntries(headers),
    failure: failure instanceof ConnectError && {
      code: failure.code,
      message: failure.rawMessage,
      info: failure.findDetails(ErrorInfoSchema).map(({ reason, metadata }) => ({ reason, metadata })),
    },
    streamFailure: await Array.fromAsync(client.watch({ text: "fail" })).catch((error: unknown) => {
      const { code, rawMessage } = ConnectError.from(error);
      return { code, rawMessage };
    }),
  };
}

describe("through the gateway as direct:", () => {
  let under: GatewayUnderTest;
  /** HTTP methods by which Read was called. */
  const methods = new Set<string>();
  before(async () => {
    under = await gatewayUnderTest({
      read({ text }, { requestHeader, requestMethod, responseHeader, responseTrailer }) {
        methods.add(requestMethod);
        responseHeader.set("x-told", requestHeader.get("x-asked") ?? "");
        responseTrailer.set("x-told-last", "bye");
        return { text };
      },
      put() {
        throw new AppError("WRONG_STATE", "nøt now", { metadata: { why: "a test" } });
      },
      async *watch({ text }) {
        yield { text: `${text}1` };
        if (text === "fail") throw new AppError("CONFLICT", "later");
        yield { text: `${text}2` };
      },
    });
  });
  after(() => under[Symbol.asyncDispose]());

  for (const protocol of ALL_PROTOCOLS) {
    for (const compressed of [false, true]) {
      test(`${protocol}${compressed ? ", compressed" : ""}`, { timeout: 30_000 }, async () => {
        await using stack = new AsyncDisposableStack();
        const url = `http://${under.registry.watchAll().current()[0]?.address}`;
        const asGateway = { [SERVICE_TOKEN]: await under.tokens.serviceToken("gateway"), [FORWARDED]: "1" };
        // Services do not speak the text form; the gateway translates it.
        const spoken = protocol === "grpc-web-text" ? "grpc-web" : protocol;
        const direct = createClient(ProbeService, openTransport(url, spoken, asGateway, stack, compressed));
        const outside = createClient(ProbeService, openTransport(under.url, protocol, {}, stack, compressed));
        const text = protocol.startsWith("connect-get") ? short : long;
        methods.clear();
        const through = await everything(outside, text, true);
        assert.deepEqual([...methods], [protocol.startsWith("connect-get") ? "GET" : "POST"]);
        // A service has no streams in both directions over HTTP/1.1; the gateway has.
        assert.deepEqual(through, await everything(direct, text, !isOverHttp1(protocol)));
        assert.equal(through.unary, text);
        assert.deepEqual(through.watched, ["x1", "x2"]);
        assert.equal(through.uploaded, "a+b+c");
        assert.deepEqual(through.chatted, ["1", "2"]);
        assert.deepEqual(through.headers, { header: "for", trailer: "bye" });
      });
    }
  }
});
