import { AgentError } from '../agent-errors.js';

/** Counts the streaming calls of this process: each holds a place in it until it ends. */
export class StreamLimit {
  #open = 0;

  constructor(private readonly maxStreams: number) {}

  /**
   * Passes messages on, and gives the place back when they end or nobody wants more of them.
   *
   * @param open called only when there is a place
   * @throws {AgentError} `TOO_MANY_STREAMS`
   */
  async *limited<T>(open: () => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    if (this.#open >= this.maxStreams) {
      throw new AgentError(
        'TOO_MANY_STREAMS',
        `This replica answers ${this.maxStreams} streaming calls, its limit (GRPC_MAX_STREAMS); try again when one has ended, or another replica`,
      );
    }
    this.#open += 1;
    try {
      yield* open();
    } finally {
      this.#open -= 1;
    }
  }
}
