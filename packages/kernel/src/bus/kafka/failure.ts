/** What a failure of Kafka is to callers. */
import { AppError } from "@switchboard/contract/app-error";

interface KafkaFailure {
  readonly name?: string;
  /** The protocol's name of it: "TOPIC_AUTHORIZATION_FAILED". */
  readonly type?: string;
  readonly retriable?: boolean;
  readonly cause?: unknown;
}

/** The protocol's name of the failure, or of what led to it. */
export function failureType(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = (at as KafkaFailure).cause) {
    const { type, errors } = at as KafkaFailure & { errors?: readonly KafkaFailure[] };
    if (type !== undefined) return type;
    if (errors?.[0]?.type !== undefined) return errors[0].type;
  }
  return undefined;
}

export function isRefused(error: unknown): boolean {
  return /_AUTHORIZATION_FAILED$/.test(failureType(error) ?? "");
}

/** kafkajs gives nearly everything a name of its own; what is no error of its is a bug of ours. */
function isKafkas(error: unknown): error is Error {
  return error instanceof Error && error.name.startsWith("KafkaJS");
}

/** What the caller of the bus is told. */
export function publicFailure(cause: unknown): unknown {
  if (!isKafkas(cause)) return cause;
  if (isRefused(cause)) {
    return new AppError(
      "PERMISSION_DENIED",
      "Kafka refuses this service: give its user the rights that the bus needs",
      {
        cause,
      },
    );
  }
  return new AppError("SERVICE_UNAVAILABLE", "the bus cannot be reached at the moment", { cause });
}
