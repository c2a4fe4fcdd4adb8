/**
 * The contract's `permission`: fills the object from the request's message, asks Authz, and lets nobody through without a
 * clear yes. Where the message says `me`, it is given the caller's id, so that handlers see real ids only.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { AppError } from "@switchboard/contract/app-error";
import type { PermissionPolicy } from "@switchboard/contract/policy";
import type { Authorizer } from "../authorizer.ts";
import { userIdOf } from "../call.ts";
import { reasonOf } from "../errors.ts";
import type { Policies } from "../policies.ts";
import { type RunningCall, runningCallOf } from "./running-call.ts";

/** What is left to do for each call of a method. */
interface Rule {
  readonly permission: string;
  /** The object, or what stands before the id that the message gives: "user:". */
  readonly object: string;
  /** The field's path in proto names: "user.user_id"; empty: the object is fixed. */
  readonly field: string;
  /** The names that the same path has in a message object. */
  readonly path: readonly string[];
}

/** What Authz takes as an object's id; what the service that owns the object takes is its own, and may be less. */
const idForm = /^[A-Za-z0-9._~@+-]{1,128}$/;

export function permission(policies: Policies, authorizer: Authorizer): Interceptor {
  const rules = new Map<DescMethod, Rule>();
  for (const [method, policy] of policies) {
    if (policy.permission) rules.set(method, compile(method, policy.permission));
  }
  return (next) => async (request) => {
    const rule = rules.get(request.method);
    if (rule === undefined) return next(request);
    const call = runningCallOf({ values: request.contextValues });
    if (rule.path.length === 0 || !request.stream) {
      await allow(call, rule, request.message, authorizer);
      return next(request);
    }
    const messages = request.message[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done) throw new AppError("MALFORMED_REQUEST", "the stream ended before its first message");
    await allow(call, rule, first.value, authorizer);
    return next({ ...request, message: startingWith(first.value, messages) });
  };
}

function compile(method: DescMethod, { permission, object, field }: PermissionPolicy): Rule {
  if (field === undefined) return { permission, object, field: "", path: [] };
  const path: string[] = [];
  let message = method.input;
  for (const name of field) {
    const described = message.fields.find((candidate) => candidate.name === name);
    // resolvePolicy has seen to it that every part but the last is a message.
    if (described === undefined) throw new Error(`${message.typeName} has no field ${name}`);
    path.push(described.localName);
    if (described.fieldKind === "message") message = described.message;
  }
  return { permission, object: object.slice(0, object.indexOf("{")), field: field.join("."), path };
}

async function allow(call: RunningCall, rule: Rule, message: unknown, authorizer: Authorizer): Promise<void> {
  const { permission, field, path } = rule;
  const object = path.length === 0 ? rule.object : rule.object + fill(call, message, field, path);
  call.object = object;
  // `access` has let no anonymous caller in.
  if (call.principal.kind === "anonymous" || !(await ask(authorizer, call.principal.subject, permission, object))) {
    throw new AppError("PERMISSION_DENIED", `this takes the permission "${permission}" on ${object}`, {
      metadata: { permission, object },
    });
  }
}

/** The id that the message holds at the path, with `me` replaced there by the caller's. */
function fill(call: RunningCall, message: unknown, field: string, path: readonly string[]): string {
  let holder = message as Record<string, unknown> | undefined;
  for (const name of path.slice(0, -1)) holder = holder?.[name] as Record<string, unknown> | undefined;
  const last = path.at(-1) ?? "";
  const id = holder?.[last];
  if (holder === undefined || typeof id !== "string" || id === "") throw wrong(field, "must be set");
  if (id === "me") {
    const userId = userIdOf(call);
    if (userId === undefined) throw wrong(field, "must be an id: `me` is for users, and a service calls");
    holder[last] = userId;
    return userId;
  }
  if (!idForm.test(id)) throw wrong(field, "must be an id, in the form that answers give it");
  return id;
}

async function ask(authorizer: Authorizer, subject: string, permission: string, object: string): Promise<boolean> {
  try {
    return await authorizer.check(subject, permission, object);
  } catch (error) {
    if (reasonOf(error) !== undefined) throw error;
    throw new AppError("AUTHZ_UNAVAILABLE", "permissions cannot be checked at the moment; try again", { cause: error });
  }
}

async function* startingWith<T>(first: T, rest: AsyncIterator<T>): AsyncIterable<T> {
  let handedOn = false;
  try {
    yield first;
    handedOn = true;
    yield* { [Symbol.asyncIterator]: () => rest };
  } finally {
    // A handler that wants no more than the first message ends what sends the others.
    if (!handedOn) await rest.return?.();
  }
}

function wrong(field: string, description: string): AppError {
  return new AppError("INVALID_FIELD", `${field} ${description}`, { violations: [{ field, description }] });
}
