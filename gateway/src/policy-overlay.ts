/**
 * Policies for packages of others, whose contracts cannot say ours: one JSON file, read once and checked at the start. Names
 * of packages, of services, and of methods are its keys, the nearest one counts; its values are (switchboard.policy.v1.method)
 * as JSON. It never speaks for a method that has a policy of its own.
 */
import { readFile } from "node:fs/promises";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { PolicyFault, type PolicyOverlay, resolvePolicy } from "@switchboard/contract/policy";
import { Health } from "@switchboard/gen/health/v1/health_pb";
import { Audit, type MethodPolicy, MethodPolicySchema } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import { SettingsFault } from "@switchboard/kernel/config/read-settings";

/** "acme.v1", "acme.v1.Notes", "acme.v1.Notes/Get". */
const nameForm = /^[a-z_]\w*(\.[a-z_]\w*)*(\/[a-z_]\w*)?$/i;
/** These contracts have their policies. */
const ownPackages = /^switchboard(\.|$)/;

/** @throws SettingsFault naming every fault, or why the file cannot be read. */
export async function readPolicyOverlay(file: string): Promise<PolicyOverlay> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new SettingsFault(`SWITCHBOARD_GATEWAY_POLICY_OVERLAY cannot be read: ${String(error)}`);
  }
  return parsePolicyOverlay(text);
}

/** @throws SettingsFault naming every fault. */
export function parsePolicyOverlay(text: string): PolicyOverlay {
  const policies = new Map<string, MethodPolicy>();
  const faults: string[] = [];
  for (const [name, json] of Object.entries(entriesOf(text))) {
    try {
      const policy = fromJson(MethodPolicySchema, json);
      const fault = faultOf(name, policy);
      if (fault === undefined) policies.set(name, policy);
      else faults.push(`${name}: ${fault}`);
    } catch (error) {
      faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (faults.length > 0) throw unusable(faults.map((fault) => `\n  ${fault}`).join(""));
  return ({ name, parent }) =>
    policies.get(`${parent.typeName}/${name}`) ??
    policies.get(parent.typeName) ??
    policies.get(parent.file.proto.package);
}

function entriesOf(text: string): Record<string, JsonValue> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw unusable(` it is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw unusable(" it must be one object");
  return json as Record<string, JsonValue>;
}

/** What a policy of somebody else's method may not say, because nobody would keep it; or what is wrong with it anyway. */
function faultOf(name: string, policy: MethodPolicy): string | undefined {
  if (!nameForm.test(name)) return "is no name of a package, a service or a method";
  if (ownPackages.test(name)) return "has its policies in its contract";
  if (policy.audit > Audit.NONE) return "its `audit` would be kept by the service, which knows of none";
  if (policy.withoutServiceToken) return "its `without_service_token` is the service's own, which knows of none";
  if (policy.permission?.object.includes("{")) {
    return "its permission's object is in the message, which only the service reads; name a fixed object";
  }
  try {
    // Of any method without a policy.
    resolvePolicy(Health.method.check, () => policy);
    return undefined;
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    return fault.message.slice(fault.message.indexOf(": ") + 2);
  }
}

function unusable(why: string): SettingsFault {
  return new SettingsFault(`SWITCHBOARD_GATEWAY_POLICY_OVERLAY cannot be used:${why}`);
}
