/** What a call came to: its answer, or the code of its error. */
export async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) =>
    error instanceof Error && 'code' in error ? error.code : error,
  );
}
