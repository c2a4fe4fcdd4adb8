/**
 * Server reflection, v1 and v1alpha, over the descriptors that are served: grpcurl, `buf curl` and the gateway learn the
 * contract from here. The two versions have the same messages under different names.
 */
import type { DescFile, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { Code } from "@connectrpc/connect";
import { ServerReflection, type ServerReflectionRequest } from "@switchboard/gen/grpc/reflection/v1/reflection_pb";
import {
  type ServerReflectionRequest as AlphaRequest,
  ServerReflection as ServerReflectionAlpha,
} from "@switchboard/gen/grpc/reflection/v1alpha/reflection_pb";
import { type Rpc, rpc } from "../service.ts";
import { descriptorBytes, filesOf } from "./contract-hash.ts";

type Question = ServerReflectionRequest["messageRequest"] | AlphaRequest["messageRequest"];
/** What is common to both versions' answers. */
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array<ArrayBuffer>[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

/** Reflection over the services, itself included. */
export function reflectionRpcs(services: readonly { readonly descriptor: DescService }[]): readonly Rpc[] {
  const served = [...services, { descriptor: ServerReflection }, { descriptor: ServerReflectionAlpha }];
  const answer = createAnswers(served);
  return [
    rpc(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const originalRequest of requests) {
          const messageResponse = answer(originalRequest.messageRequest);
          yield { validHost: originalRequest.host, originalRequest, messageResponse };
        }
      },
    }),
    rpc(ServerReflectionAlpha, {
      async *serverReflectionInfo(requests) {
        for await (const originalRequest of requests) {
          const messageResponse = answer(originalRequest.messageRequest);
          yield { validHost: originalRequest.host, originalRequest, messageResponse };
        }
      },
    }),
  ];
}

function createAnswers(services: readonly { readonly descriptor: DescService }[]): (question: Question) => Answer {
  const files = filesOf(services);
  const names = services.map(({ descriptor }) => ({ name: descriptor.typeName }));
  const bytes = new Map<DescFile, Uint8Array<ArrayBuffer>>();
  const bytesOf = (file: DescFile) => {
    const known = bytes.get(file) ?? descriptorBytes(file);
    bytes.set(file, known);
    return known;
  };
  let symbols: Symbols | undefined;

  // The file that was asked for, then all that it needs: one question is enough to build it.
  const withDependencies = (file: DescFile | undefined): Answer => {
    if (file === undefined) return refusal(Code.NotFound, "there is nothing of that name here");
    const all = [file, ...[...filesOf([{ descriptor: { file } }]).values()].filter((other) => other !== file)];
    return {
      case: "fileDescriptorResponse",
      value: { fileDescriptorProto: all.map(bytesOf) },
    };
  };

  return (question) => {
    symbols ??= indexSymbols(files.values());
    switch (question.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: names } };
      case "fileByFilename":
        return withDependencies(files.get(question.value));
      case "fileContainingSymbol":
        return withDependencies(symbols.files.get(question.value.replace(/^\./, "")));
      case "fileContainingExtension":
        return withDependencies(
          symbols.extensions.get(question.value.containingType)?.get(question.value.extensionNumber),
        );
      case "allExtensionNumbersOfType": {
        const extensionNumber = [...(symbols.extensions.get(question.value)?.keys() ?? [])];
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: question.value, extensionNumber },
        };
      }
      default:
        return refusal(Code.InvalidArgument, "the request asks nothing");
    }
  };
}

interface Symbols {
  readonly files: ReadonlyMap<string, DescFile>;
  /** By the full name of the extended message, then by number. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, DescFile>>;
}

function indexSymbols(files: Iterable<DescFile>): Symbols {
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of files) {
    for (const type of nestedTypes(file)) {
      symbols.set(type.typeName, file);
      if (type.kind === "service") {
        for (const method of type.methods) symbols.set(`${type.typeName}.${method.name}`, file);
      } else if (type.kind === "message") {
        for (const field of type.fields) symbols.set(`${type.typeName}.${field.name}`, file);
      } else if (type.kind === "extension") {
        const numbers = extensions.get(type.extendee.typeName) ?? new Map<number, DescFile>();
        extensions.set(type.extendee.typeName, numbers.set(type.number, file));
      }
    }
  }
  return { files: symbols, extensions };
}

function refusal(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
