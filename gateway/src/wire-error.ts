/** An error of connect-es as the wire's error forms take it: details as bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { WireError } from "@switchboard/wire/status";

/** @param bare without details. */
export function wireError({ code, rawMessage, details }: ConnectError, bare: boolean): WireError {
  if (bare) return { code, message: rawMessage, details: [] };
  return {
    code,
    message: rawMessage,
    details: details.map((detail) =>
      "desc" in detail
        ? { type: detail.desc.typeName, value: toBinary(detail.desc, create(detail.desc, detail.value)) }
        : { type: detail.type, value: detail.value },
    ),
  };
}
