/** A person as the message that callers see. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { etagOf } from "@switchboard/contract/etag";
import { type UserSchema, UserState } from "@switchboard/gen/switchboard/identity/v1/identity_service_pb";
import type { Person } from "../rules/person.ts";

export function userMessage(person: Person): MessageInitShape<typeof UserSchema> {
  return {
    userId: person.userId,
    email: person.email,
    displayName: person.displayName,
    state: UserState[person.state],
    createTime: timestampFromDate(person.createTime),
    updateTime: timestampFromDate(person.updateTime),
    ...(person.deleteTime && { deleteTime: timestampFromDate(person.deleteTime) }),
    etag: etagOf(person.userId, person.revision),
  };
}
