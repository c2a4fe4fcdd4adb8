/** Identity and Authz as Notes meets them: the generated clients, with the test's own handlers behind them and no network. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { AppError, type ReasonName } from "@switchboard/contract/app-error";
import { AuthzService, type Relationship } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { fromAppError } from "@switchboard/kernel/rpc/errors";

export interface Neighbours {
  /** What people are called, by user_id. */
  readonly names: Map<string, string>;
  /** What Authz was told, each as "note:7#owner@user:ada". */
  readonly relationships: string[];
  /** What Authz was asked, each as "user:ada view note:7". */
  readonly questions: string[];
  authzIsAway: boolean;
  client<Desc extends DescService>(service: Desc): Client<Desc>;
}

export function fakeNeighbours(): Neighbours {
  const transport = createRouterTransport((router) => {
    router.service(IdentityService, {
      getUser({ userId }, { requestHeader }) {
        // People may see themselves; a service that asks without them may not.
        if (!requestHeader.has("authorization")) throw refusal("PERMISSION_DENIED");
        const displayName = neighbours.names.get(userId);
        if (displayName === undefined) throw refusal("NOT_FOUND");
        return { user: { userId, displayName } };
      },
    });
    router.service(AuthzService, {
      check({ subject, permission, object }) {
        if (neighbours.authzIsAway) throw refusal("SERVICE_UNAVAILABLE");
        neighbours.questions.push(`${subject} ${permission} ${object}`);
        const relations = permission === "view" ? ["owner", "viewer"] : ["owner"];
        const held = relations.map((relation) => written({ object, relation, subject }));
        return { allowed: held.some((relationship) => neighbours.relationships.includes(relationship)) };
      },
      writeRelationships({ writes }, { requestHeader }) {
        if (neighbours.authzIsAway) throw refusal("SERVICE_UNAVAILABLE");
        // Only the service that declares a type writes its relationships, and no person in its name.
        if (requestHeader.has("authorization")) throw refusal("PERMISSION_DENIED");
        neighbours.relationships.push(...writes.map(written));
        return {};
      },
    });
  });
  const neighbours: Neighbours = {
    names: new Map(),
    relationships: [],
    questions: [],
    authzIsAway: false,
    client: (service) => createClient(service, transport),
  };
  return neighbours;
}

function written({ object, relation, subject }: Pick<Relationship, "object" | "relation" | "subject">): string {
  return `${object}#${relation}@${subject}`;
}

/** As the real ones refuse: with a reason. */
function refusal(reason: ReasonName) {
  return fromAppError(new AppError(reason, `the fake says ${reason}`));
}
