/** The models that were learnt, kept for the time when the services that brought them are away. */
import type { Queries } from "@switchboard/kernel/database/database";
import { sql } from "drizzle-orm";

export interface StoredModel {
  readonly service: string;
  readonly contractHash: string;
  /** switchboard.policy.v1.AuthorizationModel, as protobuf. */
  readonly bytes: Uint8Array;
}

/** In the order they were learnt. */
export async function loadModels(queries: Queries): Promise<readonly StoredModel[]> {
  const rows = await queries.execute<{ service: string; contract_hash: string; model: string }>(
    sql`SELECT service, contract_hash, encode(model, 'base64') AS model FROM authz.model ORDER BY learn_order`,
  );
  return Array.from(rows, (row) => ({
    service: row.service,
    contractHash: row.contract_hash,
    bytes: Buffer.from(row.model, "base64"),
  }));
}

/** In the place of the service's earlier one, and last in order: what was there before it keeps what it declares. */
export async function storeModel(queries: Queries, { service, contractHash, bytes }: StoredModel): Promise<void> {
  const text = Buffer.from(bytes).toString("base64");
  await queries.execute(sql`
    INSERT INTO authz.model (service, contract_hash, model) VALUES (${service}, ${contractHash}, decode(${text}, 'base64'))
    ON CONFLICT (service) DO UPDATE
      SET contract_hash = excluded.contract_hash, model = excluded.model, learn_order = DEFAULT`);
}
