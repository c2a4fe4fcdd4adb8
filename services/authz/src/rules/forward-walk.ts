/**
 * Walks from an object's relation or permission towards its subjects. Permissions are unions, so whether somebody holds
 * one is whether they can be reached: a breadth-first search, a read a level, in which a cycle adds nothing.
 */
import { type ForwardRead, type Graph, keyOf, type SetRef, type Wanted } from "./graph.ts";
import { type Limits, tooDeep, tooMany } from "./limits.ts";
import { declares, type Model, takes } from "./model.ts";
import { formatObject, formatSubject, type ObjectRef, type SubjectRef } from "./reference.ts";
import { formatTerm } from "./term.ts";

/** A set that was reached, and from where: the links make a path. */
export interface Step {
  readonly set: SetRef;
  readonly from: Step | undefined;
  /** What led here, for people: "any_of `editor`". Empty at the start. */
  readonly how: string;
}

export interface Visitor {
  readonly wanted: Wanted;
  /** A single subject of the type that is wanted. Returns whether the search is over. */
  found(subject: ObjectRef, step: Step, how: string): boolean;
  /** A way that led nowhere, for people. */
  deadEnd?(line: () => string): void;
}

/** @throws AppError GRAPH_TOO_DEEP */
export async function walkForward(
  model: Model,
  graph: Graph,
  start: SetRef,
  limits: Limits,
  visitor: Visitor,
): Promise<void> {
  const walk = new ForwardWalk(model, limits, visitor);
  walk.visit(start, undefined, "");
  for (let depth = 0; !walk.over; depth++) {
    const read = walk.takeRead();
    if (read === undefined) return;
    if (depth === limits.depth) throw tooDeep(limits);
    const room = limits.nodes - walk.size;
    const rows = await graph.forward(read, room);
    for (const row of rows) if (takes(model, row)) walk.follow({ ...row.object, name: row.relation }, row.subject);
    if (!walk.over && rows.length > room) throw tooMany(limits);
    walk.endLevel();
  }
}

interface Pointer {
  readonly step: Step;
  /** Looked up on what the relation points to. */
  readonly name: string;
}

class ForwardWalk {
  over = false;
  readonly #model: Model;
  readonly #limits: Limits;
  readonly #visitor: Visitor;
  readonly #visited = new Set<string>();
  /** What the next read asks for, and whom its rows belong to, by set. */
  #members = new Map<string, Step>();
  #pointers = new Map<string, { set: SetRef; from: Pointer[] }>();
  /** The same of the read under way. */
  #reading = { members: this.#members, pointers: this.#pointers, pointed: new Set<string>() };

  constructor(model: Model, limits: Limits, visitor: Visitor) {
    this.#model = model;
    this.#limits = limits;
    this.#visitor = visitor;
  }

  get size(): number {
    return this.#visited.size;
  }

  visit(set: SetRef, from: Step | undefined, how: string): void {
    const waiting: Step[] = [{ set, from, how }];
    for (let step = waiting.pop(); step !== undefined && !this.over; step = waiting.pop()) {
      const key = keyOf(step.set);
      if (this.#visited.has(key)) continue;
      this.#visited.add(key);
      if (this.#visited.size > this.#limits.nodes) throw tooMany(this.#limits);
      if (this.#model.types.get(step.set.type)?.relations.has(step.set.name)) this.#members.set(key, step);
      else waiting.push(...this.#terms(step));
    }
  }

  /** Where a permission leads without a read. */
  #terms(step: Step): Step[] {
    const { set } = step;
    const permission = this.#model.types.get(set.type)?.permissions.get(set.name);
    const next: Step[] = [];
    for (const term of permission?.anyOf ?? []) {
      const how = `any_of "${formatTerm(term)}"`;
      if (term.kind === "name") next.push({ set: { ...set, name: term.name }, from: step, how });
      else if (term.kind === "fixed") next.push({ set: { ...term.object, name: term.name }, from: step, how });
      else if (term.kind === "arrow") this.#point({ ...set, name: term.relation }, { step, name: term.name });
      else this.#offer(term.kind === "self" ? set : term.subject, step, how);
    }
    for (const { set: unknown } of next) {
      if (!declares(this.#model, unknown.type, unknown.name)) {
        this.#visitor.deadEnd?.(() => `nobody declares "${unknown.name}" on type "${unknown.type}"`);
      }
    }
    return next;
  }

  #point(set: SetRef, from: Pointer): void {
    const key = keyOf(set);
    const pointer = this.#pointers.get(key) ?? { set, from: [] };
    pointer.from.push(from);
    this.#pointers.set(key, pointer);
  }

  #offer(subject: ObjectRef, step: Step, how: string): void {
    if (this.#isWanted(subject)) {
      this.over ||= this.#visitor.found({ type: subject.type, id: subject.id }, step, how);
    } else {
      this.#visitor.deadEnd?.(() => `${keyOf(step.set)}: ${how} is ${formatObject(subject)} alone`);
    }
  }

  takeRead(): ForwardRead | undefined {
    if (this.#members.size === 0 && this.#pointers.size === 0) return undefined;
    this.#reading = { members: this.#members, pointers: this.#pointers, pointed: new Set() };
    this.#members = new Map();
    this.#pointers = new Map();
    return {
      members: [...this.#reading.members.values()].map((step) => step.set),
      pointers: [...this.#reading.pointers.values()].map((pointer) => pointer.set),
      wanted: this.#visitor.wanted,
    };
  }

  /** A stored relationship of the read under way. */
  follow(set: SetRef, subject: SubjectRef): void {
    if (this.over) return;
    const key = keyOf(set);
    const step = this.#reading.members.get(key);
    const how = `relationship ${keyOf(set)}@${formatSubject(subject)}`;
    if (step !== undefined && subject.relation !== "") {
      this.visit({ type: subject.type, id: subject.id, name: subject.relation }, step, how);
    } else if (step !== undefined && this.#isWanted(subject)) {
      this.over ||= this.#visitor.found({ type: subject.type, id: subject.id }, step, how);
    }
    if (subject.relation !== "") return;
    for (const pointer of this.#reading.pointers.get(key)?.from ?? []) {
      this.#reading.pointed.add(key);
      this.visit({ type: subject.type, id: subject.id, name: pointer.name }, pointer.step, how);
    }
  }

  #isWanted(subject: ObjectRef): boolean {
    const { type, id } = this.#visitor.wanted;
    return subject.type === type && (id === undefined || subject.id === id);
  }

  endLevel(): void {
    const { deadEnd, wanted } = this.#visitor;
    if (deadEnd === undefined || this.over) return;
    for (const { set } of this.#reading.members.values()) {
      const takes = this.#model.types.get(set.type)?.relations.get(set.name)?.subjects ?? [];
      const forms = takes.some((form) => form.relation === "" && form.type === wanted.type)
        ? [`${wanted.type}:${wanted.id ?? "…"}`]
        : takes.filter((form) => form.relation !== "").map((form) => `${form.type}:…#${form.relation}`);
      for (const form of forms) deadEnd(() => `no relationship ${keyOf(set)}@${form}`);
    }
    for (const [key, { set }] of this.#reading.pointers) {
      if (!this.#reading.pointed.has(key)) deadEnd(() => `no relationship ${keyOf(set)}@…`);
    }
  }
}
