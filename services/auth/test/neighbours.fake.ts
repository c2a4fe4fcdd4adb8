/** Identity and Authz as Auth meets them: fakes behind the generated clients, that can be away or lose their answers. */

import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { emailKey } from "@switchboard/contract/email";
import { AuthzService } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";

export interface Neighbours {
  /** People by user_id. */
  readonly people: Map<string, { email: string; displayName: string }>;
  /** Every role granted, as "subject role object". */
  readonly grants: string[];
  /** "away": nothing happens. "mute": it happens, and the answer is lost. */
  identity: "there" | "away" | "mute";
  authz: "there" | "away";
  /** E-mails of people whom Identity fails to make, each time and for no reason that it tells. */
  readonly unmakeable: Set<string>;
  client<Desc extends DescService>(service: Desc): Client<Desc>;
}

export function fakeNeighbours(): Neighbours {
  const unavailable = () => new ConnectError("no instance can be reached", Code.Unavailable);
  const transport = createRouterTransport((router) => {
    router.service(IdentityService, {
      createUser({ userId, email, displayName }) {
        if (neighbours.identity === "away") throw unavailable();
        if (neighbours.unmakeable.has(email)) throw new ConnectError("internal error", Code.Internal);
        const taken = [...neighbours.people].some(
          ([id, person]) => id === userId || emailKey(person.email) === emailKey(email),
        );
        if (taken) throw new ConnectError("there is such a person already", Code.AlreadyExists);
        neighbours.people.set(userId, { email, displayName });
        if (neighbours.identity === "mute") throw unavailable();
        return { user: { userId, email, displayName } };
      },
      getUser({ userId }) {
        if (neighbours.identity !== "there") throw unavailable();
        const person = neighbours.people.get(userId);
        if (person === undefined) throw new ConnectError("nobody", Code.NotFound);
        return { user: { userId, ...person } };
      },
    });
    router.service(AuthzService, {
      grantRole({ subject, role, object }) {
        if (neighbours.authz === "away") throw unavailable();
        neighbours.grants.push(`${subject} ${role} ${object}`);
        return {};
      },
    });
  });
  const neighbours: Neighbours = {
    people: new Map(),
    grants: [],
    identity: "there",
    authz: "there",
    unmakeable: new Set(),
    client: (service) => createClient(service, transport),
  };
  return neighbours;
}
