/** The suite's own service, as its documentation asks for it: each request says what the answer is to be. */
import { setTimeout as delay } from "node:timers/promises";
import {
  create,
  createRegistry,
  type DescMessage,
  type Message,
  type MessageInitShape,
  type Registry,
} from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type Error as ConformanceError,
  ConformancePayload_RequestInfoSchema,
  type ConformancePayloadSchema,
  ConformanceService,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "../gen/connectrpc/conformance/v1/service_pb.ts";
import { addHeaders, headersOf } from "./headers.ts";

type Payload = MessageInitShape<typeof ConformancePayloadSchema>;
type RequestInfo = MessageInitShape<typeof ConformancePayload_RequestInfoSchema>;

/** What details of errors may be. */
const registry: Registry = createRegistry(ConformancePayload_RequestInfoSchema, ConformanceService);

export const conformanceService: Partial<ServiceImpl<typeof ConformanceService>> = {
  async unary(request, context) {
    return { payload: await unaryAnswer(request.responseDefinition, context, [anyPack(UnaryRequestSchema, request)]) };
  },
  async idempotentUnary(request, context) {
    const requests = [anyPack(IdempotentUnaryRequestSchema, request)];
    return { payload: await unaryAnswer(request.responseDefinition, context, requests) };
  },
  async clientStream(messages, context) {
    const requests = await Array.fromAsync(messages);
    const all = requests.map((request) => anyPack(ClientStreamRequestSchema, request));
    return { payload: await unaryAnswer(requests[0]?.responseDefinition, context, all) };
  },
  async *serverStream(request, context) {
    const definition = request.responseDefinition;
    const answer = streamAnswer(definition, context);
    let requests = [anyPack(ServerStreamRequestSchema, request)];
    for (const data of definition?.responseData ?? []) {
      yield await answer.next(data, requests);
      requests = [];
    }
    answer.end(requests);
  },
  async *bidiStream(messages, context) {
    let answer: ReturnType<typeof streamAnswer> | undefined;
    let data: Uint8Array[] = [];
    let fullDuplex = false;
    /** Since the last answer. */
    let requests: Any[] = [];
    for await (const request of messages) {
      if (answer === undefined) {
        answer = streamAnswer(request.responseDefinition, context);
        data = [...(request.responseDefinition?.responseData ?? [])];
        fullDuplex = request.fullDuplex;
      }
      requests.push(anyPack(BidiStreamRequestSchema, request));
      if (!fullDuplex) continue;
      const next = data.shift();
      if (next === undefined) break;
      yield await answer.next(next, requests);
      requests = [];
    }
    answer ??= streamAnswer(undefined, context);
    for (const next of data) {
      yield await answer.next(next, requests);
      requests = [];
    }
    answer.end(requests);
  },
};

async function unaryAnswer(
  definition: UnaryResponseDefinition | undefined,
  context: HandlerContext,
  requests: Any[],
): Promise<Payload> {
  addHeaders(context.responseHeader, definition?.responseHeaders);
  addHeaders(context.responseTrailer, definition?.responseTrailers);
  const requestInfo = requestInfoOf(context, requests);
  await pause(definition, context);
  if (definition?.response.case === "error") throw errorOf(definition.response.value, requestInfo);
  return { requestInfo, ...(definition?.response.case === "responseData" && { data: definition.response.value }) };
}

/** The answers of a stream, of which the first tells everything about the request and the others only what is new. */
function streamAnswer(definition: StreamResponseDefinition | undefined, context: HandlerContext) {
  addHeaders(context.responseHeader, definition?.responseHeaders);
  addHeaders(context.responseTrailer, definition?.responseTrailers);
  let sent = 0;
  return {
    async next(data: Uint8Array, requests: Any[]): Promise<{ payload: Payload }> {
      const requestInfo = sent === 0 ? requestInfoOf(context, requests) : { requests };
      sent += 1;
      await pause(definition, context);
      return { payload: { data, requestInfo } };
    },
    end(requests: Any[]): void {
      if (definition?.error) throw errorOf(definition.error, sent === 0 ? requestInfoOf(context, requests) : undefined);
    },
  };
}

/** @throws the reason why the call ended meanwhile. */
async function pause(
  definition: { readonly responseDelayMs: number } | undefined,
  { signal }: HandlerContext,
): Promise<void> {
  if (!definition?.responseDelayMs) return;
  await delay(definition.responseDelayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

function requestInfoOf(context: HandlerContext, requests: Any[]): RequestInfo {
  const timeoutMs = context.timeoutMs();
  return {
    requests,
    requestHeaders: headersOf(context.requestHeader),
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.trunc(timeoutMs)) }),
    ...(context.requestMethod === "GET" && {
      connectGetInfo: {
        queryParams: [...new URL(context.url).searchParams].map(([name, value]) => ({ name, value: [value] })),
      },
    }),
  };
}

function errorOf({ code, message, details }: ConformanceError, requestInfo: RequestInfo | undefined): ConnectError {
  const error = new ConnectError(message ?? "", code as number as Code);
  for (const detail of details) {
    const unpacked = anyUnpack(detail, registry);
    const desc = unpacked && registry.getMessage(unpacked.$typeName);
    if (unpacked === undefined || desc === undefined)
      throw new Error(`a detail of type ${detail.typeUrl} is not known`);
    error.details.push({ desc: desc as DescMessage, value: unpacked as Message as never });
  }
  if (requestInfo !== undefined) {
    error.details.push({
      desc: ConformancePayload_RequestInfoSchema,
      value: create(ConformancePayload_RequestInfoSchema, requestInfo),
    });
  }
  return error;
}
