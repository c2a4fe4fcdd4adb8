/**
 * Makes one model out of what several services' contracts declare, by the rules of policy.proto: a type's relations come
 * from one service, others may add permissions to it and change nothing. A contribution that breaks a rule is left out
 * whole and takes nothing from the others; a permission that names what nobody declares (yet) gives it to nobody.
 */
import type { AuthorizationModel, ObjectType } from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import { declares, type Model, type PermissionModel, type RelationModel, type Term } from "./model.ts";
import { isName } from "./reference.ts";
import { formatTerm, parseSubjectForm, parseTerm } from "./term.ts";

export interface Contribution {
  readonly service: string;
  readonly model: AuthorizationModel;
}

/** What is wrong, and where. */
export interface ModelFault {
  readonly service: string;
  /** "note.view", or "note" for the type itself. */
  readonly where: string;
  readonly problem: string;
}

export interface MergedModels {
  readonly model: Model;
  /** Why contributions were left out; empty: none was. */
  readonly refused: readonly ModelFault[];
  /** Names that nobody declares, in permissions that are in force. */
  readonly unresolved: readonly ModelFault[];
}

interface TypeBuilder {
  readonly name: string;
  owner: string;
  readonly relations: Map<string, RelationModel>;
  readonly permissions: Map<string, PermissionModel>;
}

/**
 * Merges in the order given: where two contributions contradict each other the later one is left out. The first
 * contribution owns every type it names; any other type belongs to the service that declares relations on it.
 */
export function mergeModels(contributions: readonly Contribution[]): MergedModels {
  const types = new Map<string, TypeBuilder>();
  const refused: ModelFault[] = [];
  const [first] = contributions;
  for (const contribution of contributions) {
    const faults = faultsOf(contribution, types, first?.service ?? "");
    if (faults.length > 0) refused.push(...faults);
    else for (const type of contribution.model.types) add(contribution.service, type, types);
  }
  const model: Model = { types };
  return { model, refused, unresolved: unresolvedIn(model) };
}

export function formatFault(fault: ModelFault): string {
  return `${fault.service}: ${fault.where}: ${fault.problem}`;
}

function add(service: string, declared: ObjectType, types: Map<string, TypeBuilder>): void {
  const type = types.get(declared.name) ?? {
    name: declared.name,
    owner: service,
    relations: new Map(),
    permissions: new Map(),
  };
  types.set(type.name, type);
  if (declared.relations.length > 0) type.owner = service;
  for (const { name, role, subjects } of declared.relations) {
    type.relations.set(name, {
      name,
      role,
      subjects: subjects.map(parseSubjectForm).filter((found) => found !== undefined),
    });
  }
  for (const { name, anyOf } of declared.permissions) {
    type.permissions.set(name, {
      name,
      declaredBy: service,
      anyOf: anyOf.map(parseTerm).filter((found) => found !== undefined),
    });
  }
}

function faultsOf(
  { service, model }: Contribution,
  types: ReadonlyMap<string, TypeBuilder>,
  first: string,
): readonly ModelFault[] {
  const faults: ModelFault[] = [];
  const names = ownNames(model);
  const seen = new Set<string>();
  for (const declared of model.types) {
    const report = (where: string, problem: string) => faults.push({ service, where, problem });
    if (!isName(declared.name)) report(declared.name, "is no type name; use lower case, digits and underscores");
    const before = types.get(declared.name);
    const foreign =
      before !== undefined && before.owner !== service && (before.owner === first || before.relations.size > 0);
    for (const { name } of [...declared.relations, ...declared.permissions]) {
      const where = `${declared.name}.${name}`;
      if (!isName(name) || name === "self")
        report(where, "is no name; use lower case, digits and underscores, not `self`");
      if (seen.has(where)) report(where, "is declared twice");
      seen.add(where);
      const other = before?.relations.has(name) ? before.owner : before?.permissions.get(name)?.declaredBy;
      if (other !== undefined) report(where, `is declared by "${other}" and cannot be changed; choose another name`);
    }
    for (const relation of declared.relations) {
      const where = `${declared.name}.${relation.name}`;
      if (foreign) report(where, `adds a relation to a type of "${before.owner}"; only permissions can be added to it`);
      if (relation.subjects.length === 0) report(where, "takes no subjects; list at least one type");
      for (const form of relation.subjects) {
        if (parseSubjectForm(form) === undefined) report(where, `"${form}" is neither "type" nor "type#relation"`);
      }
    }
    const owned = names.owned.has(declared.name);
    for (const permission of declared.permissions) {
      const where = `${declared.name}.${permission.name}`;
      for (const text of permission.anyOf) {
        const problem = termProblem(text, declared.name, owned ? names.declared : undefined);
        if (problem !== undefined) report(where, problem);
      }
    }
  }
  return faults;
}

/** What a contract declares itself, as "note.view", and the types whose relations it declares. */
function ownNames(model: AuthorizationModel): { declared: ReadonlySet<string>; owned: ReadonlySet<string> } {
  const declared = new Set<string>();
  const owned = new Set<string>();
  for (const type of model.types) {
    if (type.relations.length > 0) owned.add(type.name);
    for (const { name } of [...type.relations, ...type.permissions]) declared.add(`${type.name}.${name}`);
  }
  return { declared, owned };
}

/** `own`: all names there can be on the type, where the contract owns it; else others may declare what is missing. */
function termProblem(text: string, type: string, own: ReadonlySet<string> | undefined): string | undefined {
  const term = parseTerm(text);
  if (term === undefined) return `"${text}" has none of the forms that any_of takes`;
  if (term.kind === "self" && type !== "user") return "`self` stands on type `user` only";
  const needed = term.kind === "name" ? term.name : term.kind === "arrow" ? term.relation : undefined;
  if (needed !== undefined && own?.has(`${type}.${needed}`) === false) {
    return `"${text}" names "${needed}", which type "${type}" does not have`;
  }
  return undefined;
}

function unresolvedIn(model: Model): readonly ModelFault[] {
  const faults: ModelFault[] = [];
  for (const type of model.types.values()) {
    for (const permission of type.permissions.values()) {
      for (const term of permission.anyOf) {
        if (resolves(model, type.name, term)) continue;
        faults.push({
          service: permission.declaredBy,
          where: `${type.name}.${permission.name}`,
          problem: `"${formatTerm(term)}" names what no registered contract declares; it gives the permission to nobody`,
        });
      }
    }
  }
  return faults;
}

function resolves(model: Model, type: string, term: Term): boolean {
  if (term.kind === "name") return declares(model, type, term.name);
  if (term.kind === "fixed") return declares(model, term.object.type, term.name);
  if (term.kind !== "arrow") return true;
  const relation = model.types.get(type)?.relations.get(term.relation);
  return relation?.subjects.some((form) => form.relation === "" && declares(model, form.type, term.name)) ?? false;
}
