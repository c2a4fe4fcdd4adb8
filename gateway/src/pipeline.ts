/** The stages of a call, in their order, each with those that must come before it and why. The order is data: a test holds it. */
import type { GatewayCall } from "./gateway-call.ts";

/** Lets the call pass, answers it, or refuses it by throwing. */
export type Stage = (call: GatewayCall) => void | Promise<void>;

export interface StagePlace {
  readonly name: StageName;
  readonly after: readonly StageName[];
  readonly why: string;
}

export type StageName =
  | "cors"
  | "route"
  | "deadline"
  | "limits"
  | "address-limit"
  | "authenticate"
  | "authorize"
  | "rate-limit"
  | "forward";

export const PIPELINE: readonly StagePlace[] = [
  { name: "cors", after: [], why: "a preflight names no credentials, and refusals must be readable in a browser too" },
  { name: "route", after: ["cors"], why: "a preflight asks for no method" },
  { name: "deadline", after: ["route"], why: "the policy has the timeout; everything after it counts" },
  { name: "limits", after: ["route"], why: "the policy has the sizes" },
  { name: "address-limit", after: ["cors"], why: "a refusal must be readable in a browser" },
  { name: "authenticate", after: ["address-limit", "limits"], why: "signatures cost: a flood must not reach them" },
  { name: "authorize", after: ["authenticate"], why: "it asks about the principal" },
  { name: "rate-limit", after: ["authenticate"], why: "limits are per user or key" },
  { name: "forward", after: ["deadline", "authorize", "rate-limit"], why: "nothing unchecked leaves" },
];

/** The stages in the pipeline's order. */
export function inOrder(stages: Readonly<Record<StageName, Stage>>): readonly Stage[] {
  return PIPELINE.map(({ name }) => stages[name]);
}
