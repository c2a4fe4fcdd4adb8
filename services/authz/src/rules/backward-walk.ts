/**
 * Walks from a subject towards what it holds, breadth first, a read a level. Where something is held on every object of a
 * type ("platform:switchboard#admin" in an any_of), the walk goes on for the whole type at once.
 */
import { type BackwardRead, keyOf, type SetRef } from "./graph.ts";
import { type Limits, tooMany } from "./limits.ts";
import { type Model, type SubjectForm, takes } from "./model.ts";
import { formatSubject, type ObjectRef, type Relationship, type SubjectRef } from "./reference.ts";
import { type Reversed, sameTypeName, type TypeName, typeNameKey } from "./reversed-model.ts";

export class BackwardWalk {
  readonly #model: Model;
  readonly #reversed: Reversed;
  readonly #limits: Limits;
  readonly #subject: ObjectRef;
  readonly #held = new Map<string, SetRef>();
  /** Held on every object of the type. */
  readonly #heldOnEvery = new Set<string>();
  /** What the next read asks for. */
  #subjects = new Map<string, SubjectRef>();
  #every = new Map<string, SubjectForm>();

  constructor(model: Model, reversed: Reversed, subject: ObjectRef, limits: Limits) {
    this.#model = model;
    this.#reversed = reversed;
    this.#limits = limits;
    this.#subject = subject;
    this.#readSubject({ type: subject.type, id: subject.id, relation: "" });
    if (subject.type === "user") for (const name of reversed.self) this.#hold(subject, name);
    for (const constant of reversed.constants) if (isSame(constant.subject, subject)) this.#holdOnEvery(constant.to);
  }

  get size(): number {
    return this.#held.size;
  }

  takeRead(): BackwardRead | undefined {
    const subjects = [...this.#subjects.values()];
    const every = [...this.#every.values()];
    this.#subjects = new Map();
    this.#every = new Map();
    const { relations } = this.#reversed;
    return relations.length > 0 && subjects.length + every.length > 0 ? { subjects, every, relations } : undefined;
  }

  /** A stored relationship of the read under way. */
  follow(row: Relationship): void {
    if (!takes(this.#model, row)) return;
    const { object, relation, subject } = row;
    const own = { type: object.type, name: relation };
    if (subject.relation !== "") {
      if (this.#holds(subject, subject.relation)) this.#hold(object, own);
      return;
    }
    if (isSame(subject, this.#subject)) this.#hold(object, own);
    for (const arrow of this.#reversed.arrows) {
      if (arrow.relation !== relation || arrow.to.type !== object.type || arrow.from.type !== subject.type) continue;
      if (this.#holds(subject, arrow.from.name)) this.#hold(object, arrow.to);
    }
  }

  isHeldOnEvery(name: TypeName): boolean {
    return this.#heldOnEvery.has(typeNameKey(name));
  }

  idsOf(target: TypeName): readonly string[] {
    return [...this.#held.values()].filter((set) => sameTypeName(set, target)).map((set) => set.id);
  }

  #holds(object: ObjectRef, name: string): boolean {
    const set = { type: object.type, id: object.id, name };
    return this.isHeldOnEvery(set) || this.#held.has(keyOf(set));
  }

  #hold(object: ObjectRef, { type, name }: TypeName): void {
    const waiting: SetRef[] = [{ type, id: object.id, name }];
    for (let set = waiting.pop(); set !== undefined; set = waiting.pop()) {
      if (!this.#reversed.matters(set) || this.#held.has(keyOf(set))) continue;
      this.#held.set(keyOf(set), set);
      if (this.#held.size > this.#limits.nodes) throw tooMany(this.#limits);
      if (this.#reversed.isSubject(set)) this.#readSubject({ type: set.type, id: set.id, relation: set.name });
      for (const { from, to } of this.#reversed.sameObject) {
        if (sameTypeName(from, set)) waiting.push({ ...to, id: set.id });
      }
      for (const fixed of this.#reversed.fixed) {
        if (fixed.name === set.name && isSame(fixed.object, set)) this.#holdOnEvery(fixed.to);
      }
      if (this.#isPointedTo(set)) this.#readSubject({ type: set.type, id: set.id, relation: "" });
    }
  }

  #holdOnEvery(name: TypeName): void {
    if (this.isHeldOnEvery(name)) return;
    this.#heldOnEvery.add(typeNameKey(name));
    if (this.#reversed.isSubject(name)) this.#readEvery({ type: name.type, relation: name.name });
    if (this.#isPointedTo(name)) this.#readEvery({ type: name.type, relation: "" });
    for (const { from, to } of this.#reversed.sameObject) if (sameTypeName(from, name)) this.#holdOnEvery(to);
    for (const { object, name: needed, to } of this.#reversed.fixed) {
      if (needed === name.name && object.type === name.type) this.#holdOnEvery(to);
    }
  }

  #isPointedTo(name: TypeName): boolean {
    return this.#reversed.arrows.some((arrow) => sameTypeName(arrow.from, name));
  }

  #readSubject(subject: SubjectRef): void {
    this.#subjects.set(formatSubject(subject), subject);
  }

  #readEvery(form: SubjectForm): void {
    this.#every.set(`${form.type}#${form.relation}`, form);
  }
}

function isSame(a: ObjectRef, b: ObjectRef): boolean {
  return a.type === b.type && a.id === b.id;
}
