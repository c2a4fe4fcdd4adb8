/** JSON logs on standard output: a line an event, with the service, the instance and, inside a call, the trace id. */
import { ConnectError } from "@connectrpc/connect";
import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";
import { reasonOf } from "../rpc/errors.ts";

/**
 * Makes the process's logger. Level names are pino's; times are ISO 8601 in UTC.
 * @param destination Default: standard output.
 */
export function createLogger(
  { level, service, instanceId }: { level: string; service: string; instanceId: string },
  destination?: DestinationStream,
): Logger {
  const options: LoggerOptions = {
    level,
    base: { service, instance: instanceId },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: (fields) => censored(fields, 0) },
    serializers: { err: errorFields },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Names whose values never reach a line: `current_password`, `accessToken`, `switchboard-service-token`. */
const secretName = /(?:password|secret|token|authorization|cookie)$/i;
const CENSORED_DEPTH = 5;

/**
 * The last net: nothing should log a secret, and if something does, it stays out. The fields as they are where they hold
 * none. (pino's `redact` takes a path for every depth and name, and 20 µs a line.)
 */
function censored<T extends object>(fields: T, depth: number): T {
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(fields)) {
    let kept: unknown = value;
    if (secretName.test(name)) kept = "[secret]";
    else if (isWalkable(value) && depth < CENSORED_DEPTH) kept = censored(value, depth + 1);
    if (kept === value) continue;
    copy ??= (Array.isArray(fields) ? [...fields] : { ...fields }) as Record<string, unknown>;
    copy[name] = kept;
  }
  return (copy as T | undefined) ?? fields;
}

/** Errors have a serializer; the entries of bytes are no fields. */
function isWalkable(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Error) && !ArrayBuffer.isView(value);
}

/** pino's form of an error, its causes in `message` and `stack`. Of a ConnectError the reason instead of its details. */
function errorFields(error: Error): object {
  const fields = pino.stdSerializers.err(error);
  for (const each of [fields, ...(fields.aggregateErrors ?? [])]) shorten(each);
  return censored(fields, 0);
}

/** Details that have not been sent yet hold the descriptors of their messages, and with them whole .proto files. */
function shorten(fields: ReturnType<typeof pino.stdSerializers.err>): void {
  if (!(fields.raw instanceof ConnectError)) return;
  const reason = reasonOf(fields.raw);
  if (reason) fields.reason = reason;
  delete fields.details;
  delete fields.metadata;
  delete fields.rawMessage;
}
