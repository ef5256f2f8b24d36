/** Counts what was tried, for the line at the end. */
export class InputCounts {
  readonly #counts = new Map<string, number>();

  constructor(private readonly subject: string) {}

  add(kind: string, count = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count);
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** @param crashes how often the service died of it */
  summary(crashes = 0): string {
    const kinds = [...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
    return `Hostile input, ${this.subject}: ${this.total} inputs, crashes ${crashes} (${kinds})`;
  }
}
