/**
 * Which member of a group reads which partitions: a partition's number decides, the same for every topic, so that a key's
 * new events and those that come again meet in one member. It is Kafka's "embedded" consumer protocol, version 1.
 */
import { AssignerProtocol } from "kafkajs";

const { MemberMetadata, MemberAssignment } = AssignerProtocol;

/** Members agree on it by this name: another way of assigning needs another. */
export const ASSIGNER = "switchboard-by-number";
const VERSION = 1;

export interface Member {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

/** What a member tells when it joins. */
export function subscription(topics: readonly string[]): Buffer {
  return MemberMetadata.encode({ version: VERSION, topics: [...topics], userData: Buffer.alloc(0) });
}

/** What some member wants to read. */
export function topicsOf(members: readonly Member[]): string[] {
  return [...new Set(members.flatMap(({ memberMetadata }) => MemberMetadata.decode(memberMetadata)?.topics ?? []))];
}

/** The leader's decision. A topic goes to the members that read it, though their versions may differ. */
export function assign(members: readonly Member[], partitionsOf: (topic: string) => readonly number[]) {
  const sorted = members.toSorted((one, other) => (one.memberId < other.memberId ? -1 : 1));
  const assignments = new Map(sorted.map(({ memberId }) => [memberId, {} as Record<string, number[]>]));
  for (const topic of topicsOf(members)) {
    const readers = sorted.filter((member) => topicsOf([member]).includes(topic));
    for (const partition of partitionsOf(topic)) {
      const reader = readers[partition % readers.length];
      const assignment = assignments.get(reader?.memberId ?? "");
      if (assignment) assignment[topic] = [...(assignment[topic] ?? []), partition];
    }
  }
  return [...assignments].map(([memberId, assignment]) => ({
    memberId,
    memberAssignment: MemberAssignment.encode({ version: VERSION, assignment, userData: Buffer.alloc(0) }),
  }));
}

/** What the leader decided for a member. */
export function assignedTo(
  memberAssignment: Buffer,
): readonly { readonly topic: string; readonly partition: number }[] {
  const { assignment = {} } = (memberAssignment.length > 0 && MemberAssignment.decode(memberAssignment)) || {};
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
