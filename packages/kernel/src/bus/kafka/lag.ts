/** How many events are before a group: the ends of the partitions that it ever joined for, less what it committed. */
import type { Admin } from "kafkajs";

/** Redelivered events count; dead letters do not. */
export async function lagOf(admin: Admin, groupId: string): Promise<number> {
  let lag = 0;
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId })) {
    const committed = new Map(partitions.map(({ partition, offset }) => [partition, Number(offset)]));
    for (const { partition, high, low } of await admin.fetchTopicOffsets(topic)) {
      const from = committed.get(partition) ?? -1;
      if (from >= 0) lag += Math.max(0, Number(high) - Math.max(from, Number(low)));
    }
  }
  return lag;
}
