/** Scheme, user and password, hosts, and all the rest. */
const PARTS = /^(postgres(?:ql)?:\/\/(?:[^/?#]*@)?)([^/?#@]*)(.*)$/s;

/**
 * The URLs of the servers that a connection string names, one for each host of its list:
 * `postgres://u:p@h1:5432,h2:5432/db`. node-postgres knows one host only.
 *
 * @returns none when it is not a Postgres URL
 */
export function hostUrlsOf(connectionString: string): readonly string[] {
  const [, before = '', hosts = '', rest = ''] = PARTS.exec(connectionString) ?? [];
  if (before === '') {
    return [];
  }
  return hosts.split(',').map((host) => `${before}${host}${rest}`);
}

/** Where servers are, and the database, without a password: `postgres at h1:5432,h2:5432/db`. */
export function describeHosts(urls: readonly string[]): string {
  const hosts = urls.map((url) => new URL(url).host || 'localhost').join(',');
  return `postgres at ${hosts}${new URL(urls[0] ?? '').pathname}`;
}
