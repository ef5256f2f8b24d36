import { inspect, styleText } from 'node:util';

interface Claim {
  readonly text: string;
  readonly isTrue: boolean;
  readonly seen: unknown;
}

function bold(text: string): string {
  return process.stdout.isTTY ? styleText('bold', text) : text;
}

/** The time of day with milliseconds, in UTC. */
function timeOf(date: Date): string {
  return date.toISOString().slice(11, 23);
}

/** What the demo prints, and what it claims: every claim is checked, and listed at the end. */
export class Story {
  readonly #startedAt = performance.now();
  readonly #claims: Claim[] = [];
  #chapters = 0;

  open(title: string): void {
    console.log(`\n${bold(title)}`);
  }

  chapter(title: string, why: string): void {
    this.#chapters += 1;
    console.log(`\n${bold(`${this.#chapters}. ${title}`)}\n   ${why}\n`);
  }

  /** Something that has just happened. */
  say(text: string): void {
    console.log(`   ${timeOf(new Date())}  ${text}`);
  }

  /** A stage that the service has streamed, with the time at which it happened there. */
  stage(stage: string, message: string, happenedAt: Date): void {
    console.log(`   ${timeOf(happenedAt)}    | ${stage.padEnd(12)} ${message}`);
  }

  table(rows: readonly (readonly string[])[]): void {
    const columns = Array.from({ length: rows[0]?.length ?? 0 }, (_, column) =>
      Math.max(...rows.map((row) => row[column]?.length ?? 0)),
    );
    for (const row of rows) {
      const cells = row.map((cell, column) => cell.padEnd(columns[column] ?? 0));
      console.log(`   ${cells.join('  ').trimEnd()}`);
    }
  }

  /** @param seen what was found, shown when the claim is false */
  claim(text: string, isTrue: boolean, seen: unknown): void {
    this.#claims.push({ text, isTrue, seen });
    this.say(line({ text, isTrue, seen }));
  }

  /** @returns whether every claim was true */
  verdict(): boolean {
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const isTrue = this.#claims.length > 0 && this.#claims.every((claim) => claim.isTrue);
    console.log(`\n${bold(`What this has shown, in ${seconds} seconds`)}\n`);
    this.#claims.forEach((claim) => console.log(`   ${line(claim)}`));
    console.log(
      `\n${isTrue ? 'All of it is true.' : 'Not all of it is true: the demo has failed.'}`,
    );
    return isTrue;
  }
}

function line({ text, isTrue, seen }: Claim): string {
  return isTrue ? `✓ ${text}` : `✗ ${text}\n     seen: ${inspect(seen, { depth: 4 })}`;
}
