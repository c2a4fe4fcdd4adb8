/**
 * A service's short name out of a protobuf package: the last part before the version. "switchboard.identity.v1" and
 * "acme.identity.v1" belong to "identity". The registry, the bus topic and the database role bear this name.
 */
export function serviceNameOf(packageName: string): string {
  const parts = packageName.split(".");
  if (/^v\d+((alpha|beta)\d*)?$/.test(parts.at(-1) ?? "")) parts.pop();
  return parts.at(-1) ?? packageName;
}
