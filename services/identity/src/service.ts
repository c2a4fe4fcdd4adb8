/** Identity: people, who they are and whether they may come in; not how they sign in. */
import { IdentityService } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import { type Job, rpc, type Service, type ServiceDeps } from "@switchboard/kernel/service";
import { batchGetUsers } from "./rpc/batch-get-users.ts";
import { createUser } from "./rpc/create-user.ts";
import { deleteUser } from "./rpc/delete-user.ts";
import { disableUser } from "./rpc/disable-user.ts";
import { enableUser } from "./rpc/enable-user.ts";
import { getUser } from "./rpc/get-user.ts";
import { listUsers } from "./rpc/list-users.ts";
import { undeleteUser } from "./rpc/undelete-user.ts";
import { updateUser } from "./rpc/update-user.ts";
import { UNDELETE_WINDOW_MS } from "./rules/person.ts";
import { purgePeople } from "./store/users.ts";

export function createIdentityService(deps: ServiceDeps): Service {
  return {
    name: "identity",
    rpcs: [
      rpc(IdentityService, {
        createUser: createUser(deps),
        getUser: getUser(deps),
        batchGetUsers: batchGetUsers(deps),
        listUsers: listUsers(deps),
        updateUser: updateUser(deps),
        deleteUser: deleteUser(deps),
        undeleteUser: undeleteUser(deps),
        disableUser: disableUser(deps),
        enableUser: enableUser(deps),
      }),
    ],
    jobs: [purgeDeleted(deps)],
  };
}

const PURGE_BATCH = 500;

/** Removes for good who can no longer be brought back; from then on the e-mail is free. */
function purgeDeleted({ database, log, now }: ServiceDeps): Job {
  return {
    name: "purge-deleted",
    everyMs: 60 * 60_000,
    async run(signal) {
      const before = new Date(now() - UNDELETE_WINDOW_MS);
      let purged = PURGE_BATCH;
      while (purged === PURGE_BATCH && !signal.aborted) {
        purged = await purgePeople(database.queries, before, PURGE_BATCH);
        if (purged > 0) log.info({ purged }, "people deleted more than 30 days ago are gone for good");
      }
    },
  };
}
