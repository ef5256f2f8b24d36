/** The application is configured in a way that cannot work; the message says what to write. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}
