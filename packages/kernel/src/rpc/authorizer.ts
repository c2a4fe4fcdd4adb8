/** The question that services and the gateway ask Authz. Real: a client of AuthzService. In Authz itself: its own graph. */
export interface Authorizer {
  /**
   * Whether the subject holds the permission on the object, both as `type:id`.
   * @throws AppError AUTHZ_UNAVAILABLE where there is no answer: never taken for a yes.
   */
  check(subject: string, permission: string, object: string): Promise<boolean>;
}
