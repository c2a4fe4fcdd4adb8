/** For the tests beside it: a contract with a method for each kind of stream and of policy, and instances that serve it. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, type Message, setExtension, toBinary } from "@bufbuild/protobuf";
import { fileDesc, type GenMessage, type GenService, messageDesc, serviceDesc } from "@bufbuild/protobuf/codegenv2";
import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Type as FieldType,
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as Idempotency,
  type MethodOptions,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  Access,
  file_switchboard_policy_v1_policy,
  type MethodPolicy,
  MethodPolicySchema,
  method as policyOption,
  RateLimitKey,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import { contractHash } from "@switchboard/kernel/rpc/contract-hash";
import { serviceInterceptors } from "@switchboard/kernel/rpc/interceptors/service-interceptors";
import { resolvePolicies } from "@switchboard/kernel/rpc/policies";
import { startServer } from "@switchboard/kernel/rpc/server";
import { rpc } from "@switchboard/kernel/service";
import type { TokenVerifier } from "@switchboard/kernel/trust/token-verifier";
import { pino } from "pino";

export const silent = pino({ level: "silent" });

const { IDEMPOTENT, NO_SIDE_EFFECTS } = Idempotency;
type Policy = MessageInitShape<typeof MethodPolicySchema>;

const PUBLIC = { access: Access.PUBLIC };
const AUTHENTICATED = { access: Access.AUTHENTICATED };

function options(policy: Policy | undefined, idempotencyLevel?: Idempotency): MethodOptions {
  const made = create(MethodOptionsSchema, idempotencyLevel === undefined ? {} : { idempotencyLevel });
  if (policy) setExtension(made, policyOption, create(MethodPolicySchema, policy) as MethodPolicy);
  return made;
}

function method(
  name: string,
  made: MethodOptions,
  streams: { clientStreaming?: boolean; serverStreaming?: boolean } = {},
) {
  return { name, inputType: ".test.probe.v1.Text", outputType: ".test.probe.v1.Text", options: made, ...streams };
}

/** @param second a second version of the contract has one method more, and asks for a user in Read. */
function probeFile(second: boolean) {
  return fileDesc(
    base64Encode(
      toBinary(
        FileDescriptorProtoSchema,
        create(FileDescriptorProtoSchema, {
          name: "test/probe/v1/probe.proto",
          package: "test.probe.v1",
          syntax: "proto3",
          dependency: ["switchboard/policy/v1/policy.proto"],
          messageType: [{ name: "Text", field: [{ name: "text", number: 1, type: FieldType.STRING, label: 1 }] }],
          service: [
            {
              name: "ProbeService",
              method: [
                method("Read", options(second ? AUTHENTICATED : PUBLIC, NO_SIDE_EFFECTS)),
                method("Write", options(PUBLIC)),
                method("Put", options({ ...PUBLIC, maxRequestBytes: 1_000 }, IDEMPOTENT)),
                method("Watch", options(PUBLIC), { serverStreaming: true }),
                method("Upload", options({ ...PUBLIC, maxRequestBytes: 1_000 }), { clientStreaming: true }),
                method("Chat", options(PUBLIC), { clientStreaming: true, serverStreaming: true }),
                method("Private", options(AUTHENTICATED)),
                method("PrivateWatch", options(AUTHENTICATED), { serverStreaming: true }),
                method(
                  "Admin",
                  options({ ...AUTHENTICATED, permission: { permission: "probe", object: "platform:switchboard" } }),
                ),
                method("Inside", options({ access: Access.INTERNAL })),
                method(
                  "Limited",
                  options({
                    ...PUBLIC,
                    rateLimit: { requests: 2, window: { seconds: 60n }, key: RateLimitKey.ADDRESS },
                  }),
                ),
                method("Slow", options({ ...PUBLIC, timeout: { nanos: 300_000_000 } })),
                method("Loose", options(undefined)),
                ...(second ? [method("Added", options(PUBLIC))] : []),
              ],
            },
          ],
        }),
      ),
    ),
    [file_switchboard_policy_v1_policy],
  );
}

export type Text = Message<"test.probe.v1.Text"> & { text: string };
type Shape<Kind> = { methodKind: Kind; input: GenMessage<Text>; output: GenMessage<Text> };
export type ProbeDescriptor = GenService<{
  read: Shape<"unary">;
  write: Shape<"unary">;
  put: Shape<"unary">;
  watch: Shape<"server_streaming">;
  upload: Shape<"client_streaming">;
  chat: Shape<"bidi_streaming">;
  private: Shape<"unary">;
  privateWatch: Shape<"server_streaming">;
  admin: Shape<"unary">;
  inside: Shape<"unary">;
  limited: Shape<"unary">;
  slow: Shape<"unary">;
  loose: Shape<"unary">;
}>;

const first = probeFile(false);
export const TextSchema: GenMessage<Text> = messageDesc(first, 0);
export const ProbeService: ProbeDescriptor = serviceDesc(first, 0);
/** With one more method, and a stricter policy of Read. */
export const SecondProbeService: ProbeDescriptor = serviceDesc(probeFile(true), 0);

export type ProbeHandlers = Partial<ServiceImpl<ProbeDescriptor>>;

/** Answers with what it got. */
const echo: ProbeHandlers = {
  read: ({ text }) => ({ text }),
  write: ({ text }) => ({ text }),
  put: ({ text }) => ({ text }),
  async *watch({ text }) {
    for (let index = 1; index <= 3; index++) yield { text: `${text}${index}` };
  },
  async upload(messages) {
    const texts = await Array.fromAsync(messages, ({ text }) => text);
    return { text: texts.join("+") };
  },
  async *chat(messages) {
    for await (const { text } of messages) yield { text };
  },
  private: ({ text }) => ({ text }),
  async *privateWatch({ text }) {
    yield { text };
  },
  admin: ({ text }) => ({ text }),
  inside: ({ text }) => ({ text }),
  limited: ({ text }) => ({ text }),
  slow: ({ text }) => ({ text }),
};

export interface ProbeInstance extends AsyncDisposable {
  readonly instance: Instance;
  readonly url: string;
  /** Names of the methods whose handlers ran. */
  readonly calls: string[];
  drain(): Promise<void>;
}

export async function startProbe(
  verifier: TokenVerifier,
  handlers: ProbeHandlers = {},
  {
    id = "probe-1",
    port = 0,
    descriptor = ProbeService,
  }: { id?: string; port?: number; descriptor?: ProbeDescriptor } = {},
): Promise<ProbeInstance> {
  const rpcs = [rpc(descriptor, { ...echo, ...handlers } as ServiceImpl<ProbeDescriptor>)];
  const calls: string[] = [];
  const policies = withPoliciesForAll(descriptor);
  const { gate, interceptors } = serviceInterceptors({
    policies,
    verifier,
    authorizer: { check: async () => true },
    recordCall: () => {},
    log: silent,
  });
  const server = await startServer({
    rpcs,
    policies,
    interceptors: {
      gate,
      interceptors: [
        ...interceptors,
        (next) => (request) => {
          calls.push(request.method.name);
          return next(request);
        },
      ],
    },
    host: "127.0.0.1",
    port,
    log: silent,
  });
  return {
    instance: {
      service: "probe",
      instanceId: id,
      address: server.address,
      version: "1",
      contractHash: contractHash(rpcs),
      rpcServices: [descriptor.typeName],
      metadata: {},
      registerTime: 0,
    },
    url: `http://${server.address}`,
    calls,
    drain: () => server.drain(1_000),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The kernel's server would not start with a method that has no policy: other servers do. */
function withPoliciesForAll(descriptor: ProbeDescriptor) {
  const withPolicies = { ...descriptor, methods: descriptor.methods.filter(({ name }) => name !== "Loose") };
  const policies = new Map(resolvePolicies([{ descriptor: withPolicies as ProbeDescriptor }]));
  const write = policies.get(descriptor.method.write);
  if (write) policies.set(descriptor.method.loose, write);
  return policies;
}

/** Does not answer until the call is given up; tells when it began, and that it was given up. */
export function hanging() {
  const begun = Promise.withResolvers<void>();
  const givenUp = Promise.withResolvers<void>();
  return {
    begun: begun.promise,
    givenUp: givenUp.promise,
    handler(_: unknown, { signal }: HandlerContext): Promise<never> {
      begun.resolve();
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          givenUp.resolve();
          reject(signal.reason);
        }),
      );
    },
  };
}
