/** The authorization model in a contract: of Authz itself, and of a running instance, through its reflection. */
import { create, type DescFile, getOption, hasOption } from "@bufbuild/protobuf";
import { file_switchboard_authz_v1_authz_service } from "@switchboard/gen/switchboard/authz/v1/authz_service_pb";
import {
  type AuthorizationModel,
  AuthorizationModelSchema,
  model as modelOption,
} from "@switchboard/gen/switchboard/policy/v1/policy_pb";
import type { Instance } from "@switchboard/kernel/registry/registry";
import type { PlatformDeps } from "@switchboard/kernel/service";

export const ownModel: AuthorizationModel = modelOf([file_switchboard_authz_v1_authz_service]);

/** Asks instances of one contract one after another. @throws the last one's Error where none answers. */
export async function fetchModel(
  instances: readonly Instance[],
  contractOf: PlatformDeps["contractOf"],
): Promise<AuthorizationModel> {
  let failure: unknown;
  for (const instance of instances) {
    try {
      const services = await contractOf(instance);
      return modelOf(services.map(({ file }) => file));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function modelOf(files: readonly DescFile[]): AuthorizationModel {
  const types = [...new Set(files)].flatMap((file) =>
    hasOption(file, modelOption) ? getOption(file, modelOption).types : [],
  );
  return create(AuthorizationModelSchema, { types });
}
