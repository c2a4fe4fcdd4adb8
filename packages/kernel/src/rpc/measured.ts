/** A transport whose calls are measured: how long each took, retries included, and how it ended. */
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Metrics } from "../telemetry/metrics.ts";

/** @param now Unix milliseconds. */
export function measured(
  transport: Transport,
  { clientDuration }: Pick<Metrics, "clientDuration">,
  now: () => number,
): Transport {
  const begin = (method: { readonly name: string; readonly parent: { readonly typeName: string } }) => {
    const startTime = now();
    let told = false;
    return (code: string) => {
      if (told) return;
      told = true;
      const labels = { rpc_method: `${method.parent.typeName}/${method.name}`, rpc_response_status_code: code };
      clientDuration.observe(labels, (now() - startTime) / 1_000);
    };
  };
  return {
    async unary(method, ...rest) {
      const end = begin(method);
      try {
        const answer = await transport.unary(method, ...rest);
        end("ok");
        return answer;
      } catch (error) {
        end(codeOf(error));
        throw error;
      }
    },
    async stream(method, ...rest) {
      const end = begin(method);
      try {
        const answer = await transport.stream(method, ...rest);
        // Its headers are of the attempt that answered in the end: read when they are asked for.
        return {
          stream: true,
          service: answer.service,
          method: answer.method,
          get header() {
            return answer.header;
          },
          get trailer() {
            return answer.trailer;
          },
          message: untilEnd(answer.message, end),
        };
      } catch (error) {
        end(codeOf(error));
        throw error;
      }
    },
  };
}

async function* untilEnd<T>(messages: AsyncIterable<T>, end: (code: string) => void): AsyncGenerator<T> {
  try {
    yield* messages;
    end("ok");
  } catch (error) {
    end(codeOf(error));
    throw error;
  } finally {
    // Whoever reads no further has cancelled.
    end(codeToString(Code.Canceled));
  }
}

function codeOf(error: unknown): string {
  return codeToString(ConnectError.from(error).code);
}
