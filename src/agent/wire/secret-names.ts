/** The words that speak of a secret, also where they are written without a mark between them. */
const SECRET_WORD =
  /^(?:(?:api|access|auth|client|private|secret)?(?:key|token|secret|pass|passwd|password|passphrase|pwd|sig|signature|credentials?)|auth|authorization)$/;

/**
 * Whether the name of a parameter or a variable speaks of a secret in one of its words, such as
 * `api-key`, `accessToken` or `DB_PWD`. A word that only holds such a one does not: `author`, `max_tokens`.
 */
export function isSecretName(name: string): boolean {
  return name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .some((word) => SECRET_WORD.test(word));
}
