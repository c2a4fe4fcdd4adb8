/** Messages without what `(switchboard.policy.v1.field).sensitive` marks: the form that may be stored. */
import {
  clone,
  type DescField,
  type DescMessage,
  getOption,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { field as fieldOption } from "@switchboard/gen/switchboard/policy/v1/policy_pb";

/** A copy in which sensitive fields are empty, at any depth. */
export function withoutSensitiveFields<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): MessageShape<Desc> {
  const copy = clone(schema, message);
  clear(reflect(schema, copy as MessageShape<Desc> & Message));
  return copy;
}

function clear(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (getOption(field, fieldOption).sensitive) message.clear(field);
    else for (const inner of messagesIn(message, field)) clear(inner);
  }
}

function messagesIn(message: ReflectMessage, field: DescField): Iterable<ReflectMessage> {
  switch (field.fieldKind) {
    case "message":
      return [message.get(field)];
    case "list":
      return field.listKind === "message" ? (message.get(field) as Iterable<ReflectMessage>) : [];
    case "map":
      return field.mapKind === "message" ? (message.get(field).values() as Iterable<ReflectMessage>) : [];
    default:
      return [];
  }
}
