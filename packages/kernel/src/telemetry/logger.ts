/** JSON logs on standard output: a line an event, with the service, the instance and, inside a call, the trace id. */
import { type Logger, pino } from "pino";

/** Makes the process's logger. Level names are pino's; times are ISO 8601 in UTC. */
export function createLogger(options: { level: string; service: string; instanceId: string }): Logger {
  return pino({
    level: options.level,
    base: { service: options.service, instance: options.instanceId },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // The last net: nothing should log these, and if something does, they stay out.
    redact: {
      paths: ["*.password", "*.secret", "*.access_token", "*.refresh_token", "*.authorization"],
      censor: "[secret]",
    },
  });
}
