/** An error and what caused it in one line, for the log. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const own = `${error.name}: ${error.message}`;
  return error.cause === undefined ? own : `${own}; caused by ${describeError(error.cause)}`;
}
