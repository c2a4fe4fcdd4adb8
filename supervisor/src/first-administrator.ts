/** What the terminal says of the first administrator, once: a password that was made has to be shown, a chosen one never is. */

export function firstAdministratorLine(email: string, chosen: string | undefined, made: string): string {
  if (chosen === undefined) return `the first administrator, shown this once: ${email} ${made}`;
  return `the first administrator: ${email}, with the password of SWITCHBOARD_ADMIN_PASSWORD`;
}
