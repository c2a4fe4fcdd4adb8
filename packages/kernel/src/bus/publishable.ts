/** What any bus takes, whatever its driver; found at the publisher, before anything is stored that could not be sent. */
import { AppError } from "@switchboard/contract/app-error";
import type { EventEnvelope } from "@switchboard/contract/event-envelope";

const MAX_DATA_BYTES = 900 * 1024;
/** Keys are part of an index. */
const MAX_KEY_LENGTH = 512;

/** @throws AppError for an event that no bus keeps. */
export function requirePublishable({ key, data }: Pick<EventEnvelope, "key" | "data">): void {
  if (key === "" || key.length > MAX_KEY_LENGTH || key.includes("\0")) {
    const description = `must have 1 to ${MAX_KEY_LENGTH} characters and no NUL`;
    throw new AppError("INVALID_FIELD", `an event's key ${description}`, {
      violations: [{ field: "key", description }],
    });
  }
  if (data.length > MAX_DATA_BYTES) throw new AppError("REQUEST_TOO_LARGE", "an event's data has at most 900 KiB");
}
