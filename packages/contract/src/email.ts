/** E-mail addresses, as everybody who compares them has to see them: Auth by what a person types, Identity by what it keeps. */

/** RFC 5321 section 4.5.3.1.3 (a path has 256, its brackets included). */
export const EMAIL_MAX_LENGTH = 254;

/** What an e-mail must be, for the caller who sent one that is not. */
export const EMAIL_RULE = `must be an e-mail address of at most ${EMAIL_MAX_LENGTH} characters: "ada@example.com"`;

/**
 * One `@` outside of quotes, a name of 1 to 64 characters, a domain of labels. Letters of all scripts are taken (RFC 6531);
 * quoted names and address literals are not. Whether mail arrives there, only mail can tell.
 */
const pattern =
  /^[^\s\p{C}"(),:;<>@[\\\]]{1,64}@[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}-]*)(?:\.[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}-]*)*$/u;

export function isEmail(text: string): boolean {
  const email = emailKey(text);
  return text.length <= EMAIL_MAX_LENGTH && email.length <= EMAIL_MAX_LENGTH && pattern.test(email);
}

/**
 * What e-mails are compared by: without regard to letter case and to compatible forms of a character. Through upper case
 * and back, because some letters meet only there: "ς" and "σ", "ß" and "ss".
 */
export function emailKey(email: string): string {
  return email.normalize("NFKC").toLowerCase().toUpperCase().toLowerCase().normalize("NFKC");
}
