/** What is wrong with a body that has ended. */
import { AppError } from "@switchboard/contract/app-error";
import type { Exchange } from "./exchange.ts";

export function bodyFault(exchange: Exchange): AppError | undefined {
  switch (exchange.bodyEnd()) {
    case "cut":
      return new AppError("CANCELLED", "the request was cut before its end");
    case "malformed":
      return new AppError("MALFORMED_REQUEST", "the body is not in base64, as its content type says");
    default:
      return undefined;
  }
}
