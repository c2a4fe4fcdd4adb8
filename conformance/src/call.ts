/** One call as the suite describes it, made with a client of the platform's channel, and what came of it. */
import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client, ConnectError } from "@connectrpc/connect";
import type {
  ClientCompatRequest,
  ClientCompatRequest_Cancel,
  ClientResponseResultSchema,
} from "../gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { type Code, StreamType } from "../gen/connectrpc/conformance/v1/config_pb.ts";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  ConformancePayloadSchema,
  type ConformanceService,
  type ErrorSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  UnimplementedRequestSchema,
} from "../gen/connectrpc/conformance/v1/service_pb.ts";
import { addHeaders, headersOf } from "./headers.ts";

type Result = MessageInitShape<typeof ClientResponseResultSchema>;
type Answer = { readonly payload?: ConformancePayload | undefined };

/** @throws Error where the call cannot be made at all. */
export async function makeCall(
  client: Client<typeof ConformanceService>,
  request: ClientCompatRequest,
): Promise<Result> {
  const cancel = new AbortController();
  const timing = cancelTiming(request.cancel);
  const payloads: ConformancePayload[] = [];
  const result: Result = { payloads };
  const headers = new Headers();
  addHeaders(headers, request.requestHeaders);
  const options: CallOptions = {
    headers,
    signal: cancel.signal,
    // 0: none, not even the channel's own.
    timeoutMs: request.timeoutMs ?? 0,
    onHeader(received) {
      result.responseHeaders = headersOf(received);
    },
    onTrailer(received) {
      result.responseTrailers = headersOf(received);
    },
  };
  const take = ({ payload }: Answer) => payloads.push(payload ?? create(ConformancePayloadSchema));
  const takeAll = async (answers: AsyncIterable<Answer>) => {
    for await (const answer of answers) {
      take(answer);
      if (payloads.length === timing.afterNumResponses) cancel.abort();
      outgoing.answered(payloads.length);
    }
  };
  const cancelSoon = () => {
    if (timing.afterCloseSendMs !== undefined) setTimeout(() => cancel.abort(), timing.afterCloseSendMs);
  };
  const sent = () => (timing.beforeCloseSend ? cancel.abort() : cancelSoon());
  const outgoing = outgoingMessages(request, sent);
  const only = <Desc extends DescMessage>(schema: Desc): MessageShape<Desc> => {
    const [any] = request.requestMessages;
    if (any === undefined || request.requestMessages.length > 1) throw new Error("this call takes one message");
    cancelSoon();
    return unpacked(any, schema);
  };
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    Unary: async () => take(await client.unary(only(UnaryRequestSchema), options)),
    IdempotentUnary: async () => take(await client.idempotentUnary(only(IdempotentUnaryRequestSchema), options)),
    Unimplemented: () => client.unimplemented(only(UnimplementedRequestSchema), options),
    ClientStream: async () => take(await client.clientStream(outgoing.messages(ClientStreamRequestSchema), options)),
    ServerStream: () => takeAll(client.serverStream(only(ServerStreamRequestSchema), options)),
    BidiStream: () => takeAll(client.bidiStream(outgoing.messages(BidiStreamRequestSchema), options)),
  };
  const call = calls[request.method ?? ""];
  if (call === undefined) throw new Error(`the service has no method ${request.method}`);
  try {
    await call();
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    result.error = told(error);
    // Nothing tells which of an error's metadata were headers and which trailers.
    result.responseHeaders ??= headersOf(error.metadata);
    result.responseTrailers ??= headersOf(error.metadata);
  }
  outgoing.over();
  return { ...result, numUnsentRequests: outgoing.unsent() };
}

/** The messages of a stream. Where both sides speak in turn, each waits for the answer to the one before. */
function outgoingMessages({ requestMessages, requestDelayMs, streamType }: ClientCompatRequest, sent: () => void) {
  const inTurn = streamType === StreamType.FULL_DUPLEX_BIDI_STREAM;
  let taken = 0;
  let begun = false;
  let answers = 0;
  let turn = Promise.withResolvers<void>();
  const answered = (count: number) => {
    answers = count;
    turn.resolve();
    turn = Promise.withResolvers();
  };
  return {
    answered,
    over: () => answered(Number.POSITIVE_INFINITY),
    unsent: () => (begun ? requestMessages.length - taken : 0),
    async *messages<Desc extends DescMessage>(schema: Desc): AsyncGenerator<MessageShape<Desc>> {
      begun = true;
      for (const any of requestMessages) {
        if (requestDelayMs > 0) await delay(requestDelayMs);
        yield unpacked(any, schema);
        taken += 1;
        while (inTurn && answers < taken) await turn.promise;
      }
      sent();
    },
  };
}

function unpacked<Desc extends DescMessage>(any: Any, schema: Desc): MessageShape<Desc> {
  const message = anyUnpack(any, schema);
  if (message === undefined) throw new Error(`a message of type ${any.typeUrl} is not one of ${schema.typeName}`);
  return message;
}

interface CancelTiming {
  readonly beforeCloseSend?: boolean;
  readonly afterCloseSendMs?: number;
  readonly afterNumResponses?: number;
}

function cancelTiming(cancel: ClientCompatRequest_Cancel | undefined): CancelTiming {
  if (cancel === undefined) return {};
  const { cancelTiming: timing } = cancel;
  if (timing.case === "beforeCloseSend") return { beforeCloseSend: true };
  if (timing.case === "afterNumResponses") return { afterNumResponses: timing.value };
  return { afterCloseSendMs: timing.value ?? 0 };
}

/** What the server said. What the channel itself adds to an error, for its own callers, is none of it. */
function told({ code, rawMessage, details }: ConnectError): MessageInitShape<typeof ErrorSchema> {
  return {
    code: code as number as Code,
    message: rawMessage,
    details: details.flatMap((detail) =>
      "desc" in detail ? [] : [{ typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value }],
    ),
  };
}
