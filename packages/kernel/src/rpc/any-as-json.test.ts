import assert from "node:assert/strict";
import { test } from "node:test";
import { create, setExtension, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenService, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "@switchboard/gen/google/rpc/error_details_pb";
import { file_google_rpc_status, type StatusSchema } from "@switchboard/gen/google/rpc/status_pb";
import {
  Access,
  file_switchboard_policy_v1_policy,
  type MethodPolicy,
  MethodPolicySchema,
  method as policyOption,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import { pino } from "pino";
import { rpc } from "../service.ts";
import { startServer } from "./server.ts";

const options = create(MethodOptionsSchema);
setExtension(options, policyOption, create(MethodPolicySchema, { access: Access.PUBLIC }) as MethodPolicy);

/** Takes and gives a google.rpc.Status, whose details are of any type; its file imports those of google.rpc. */
const MirrorService: GenService<{
  mirror: { methodKind: "unary"; input: typeof StatusSchema; output: typeof StatusSchema };
}> = serviceDesc(
  fileDesc(
    base64Encode(
      toBinary(
        FileDescriptorProtoSchema,
        create(FileDescriptorProtoSchema, {
          name: "test/mirror/v1/mirror.proto",
          package: "test.mirror.v1",
          syntax: "proto3",
          dependency: [
            "google/rpc/status.proto",
            "google/rpc/error_details.proto",
            "switchboard/policy/v1/policy.proto",
          ],
          service: [
            {
              name: "MirrorService",
              method: [{ name: "Mirror", inputType: ".google.rpc.Status", outputType: ".google.rpc.Status", options }],
            },
          ],
        }),
      ),
    ),
    [file_google_rpc_status, file_google_rpc_error_details, file_switchboard_policy_v1_policy],
  ),
  0,
);

test("a google.protobuf.Any is read and written as JSON where its type is in the contract", async () => {
  await using server = await startServer({
    rpcs: [rpc(MirrorService, { mirror: ({ details }) => ({ details }) })],
    host: "127.0.0.1",
    port: 0,
    log: pino({ level: "silent" }),
  });
  const message = {
    details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "BECAUSE", domain: "example.com" }],
  };
  const answer = await fetch(`http://${server.address}/test.mirror.v1.MirrorService/Mirror`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(message),
  });
  assert.deepEqual([answer.status, await answer.json()], [200, message]);
});
