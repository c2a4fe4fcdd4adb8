/**
 * The administrator's step before the platform runs on a Kafka that asks who one is: for each service the rights of the
 * user that has its name. Repeating it is harmless. Users and their passwords are the operator's: kafkajs cannot make them.
 */
// Node finds only some of its exports by name.
import kafkajs, {
  type AclEntry,
  type AclOperationTypes,
  type AclResourceTypes,
  type ResourcePatternTypes,
} from "kafkajs";
import { pino } from "pino";
import { KafkaClient, type KafkaConnection } from "./client.ts";
import { KafkaNames } from "./names.ts";

export interface KafkaProvision extends Omit<KafkaConnection, "clientId" | "connect"> {
  readonly prefix: string;
  /** Names of services, which are those of their users: "identity". */
  readonly services: readonly string[];
}

/** @throws where Kafka cannot be asked, refuses, or has no access control. */
export async function provisionKafka({ prefix, services, ...connection }: KafkaProvision): Promise<void> {
  const log = pino({ level: "silent" });
  const admin = new KafkaClient({ ...connection, clientId: "provision", connect: undefined }, log).admin();
  try {
    await admin.connect();
    await admin.createAcls({ acl: services.flatMap((service) => rightsOf(service, prefix)) });
  } finally {
    await admin.disconnect();
  }
}

/** Everybody reads facts; into a topic of facts only its service writes, and what a group gets again is its own. */
function rightsOf(service: string, prefix: string): AclEntry[] {
  const { TOPIC, GROUP } = kafkajs.AclResourceTypes;
  const { LITERAL, PREFIXED } = kafkajs.ResourcePatternTypes;
  const { READ, WRITE, CREATE } = kafkajs.AclOperationTypes;
  const names = new KafkaNames(prefix, service);
  const right = (
    resourceType: AclResourceTypes,
    resourcePatternType: ResourcePatternTypes,
    resourceName: string,
    ...operations: AclOperationTypes[]
  ): AclEntry[] =>
    operations.map((operation) => ({
      resourceType,
      resourcePatternType,
      resourceName,
      operation,
      principal: `User:${service}`,
      host: "*",
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
    }));
  return [
    ...right(TOPIC, PREFIXED, names.topics, READ),
    ...right(TOPIC, LITERAL, names.topic(service), WRITE, CREATE),
    ...right(TOPIC, PREFIXED, names.redeliveries, WRITE, CREATE),
    ...right(TOPIC, PREFIXED, names.allDeadLetters, WRITE, CREATE),
    ...right(GROUP, PREFIXED, names.groups, READ),
  ];
}
