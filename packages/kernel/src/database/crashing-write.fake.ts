/** A process that dies at the worst moment: it makes a safe write, and is killed when that is committed and not answered. */
import { createContextValues } from "@connectrpc/connect";
import { resolvePolicy } from "@switchboard/contract/policy";
import { AuthService } from "@switchboard/gen/switchboard/auth/v1/auth_service_pb";
import { sql } from "drizzle-orm";
import { pino } from "pino";
import { type Call, callKey } from "../rpc/call.ts";
import { openDatabase } from "./open-database.ts";
import { createWrites } from "./stored-answers.ts";

const [url = "", requestId = ""] = process.argv.slice(2);
const method = AuthService.method.revokeAllSessions;
const call: Call = {
  actor: "user:crash",
  principal: { kind: "user", subject: "user:crash", userId: "crash", credentialId: "s", viaApiKey: false },
  policy: resolvePolicy(method),
  callingService: "gateway",
  accessToken: undefined,
  trace: { traceId: "1".repeat(32), spanId: "1".repeat(16), sampled: false },
  requestId: "r",
  clientAddress: "",
  audited: false,
  object: "",
};
const database = openDatabase({ url, schema: "notes", log: pino({ level: "silent" }) });
const writes = createWrites({ database, secret: "the secret of the service notes", now: Date.now });
const context = { values: createContextValues().set(callKey, call) };
const request = { $typeName: method.input.typeName, requestId };
await writes.write(method, request, context as never, async (tx) => {
  await tx.queries.execute(sql`insert into thing (id) values (900)`);
  return {};
});
process.kill(process.pid, "SIGKILL");
