import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { frame, FRAME, ping, PREFACE, settings } from './http2-frames.js';

/** For so long an attacker waits for a server that says nothing. A bound, and no expectation. */
const SILENCE_MS = 250;

const LAST_PING = 0xfeed_beef;

/** One hostile connection. It gives up by itself, whatever the server does. */
export class Attacker {
  #isClosed = false;
  #lastPingAnswered = false;
  #changed = (): void => undefined;

  private constructor(private readonly socket: Socket) {
    const answer = ping(LAST_PING).subarray(-8);
    let end = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      end = Buffer.concat([end, chunk]).subarray(-1024);
      this.#lastPingAnswered ||= end.includes(answer);
      this.#changed();
    });
    // The server may hang up at any time: that is its right.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#changed();
    });
  }

  static async connect(port: number): Promise<Attacker> {
    const socket = connect(port, '127.0.0.1');
    const attacker = new Attacker(socket);
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
    return attacker;
  }

  /** The same, past the beginning that every connection has. */
  static async greet(
    port: number,
    ...options: readonly (readonly [number, number])[]
  ): Promise<Attacker> {
    const attacker = await Attacker.connect(port);
    await attacker.send(PREFACE, settings(...options));
    return attacker;
  }

  /** Writes as far as the server takes it. */
  async send(...parts: readonly Buffer[]): Promise<void> {
    for (const part of parts) {
      if (this.#isClosed || this.socket.destroyed) {
        return;
      }
      if (!this.socket.write(part)) {
        await this.#until(() => this.#isClosed || this.socket.writableLength === 0);
      }
    }
  }

  /** Reads nothing any more, so that the answers pile up. */
  stopReading(): void {
    this.socket.pause();
  }

  readAgain(): void {
    this.socket.resume();
  }

  /** Sends no more, and reads on. */
  halfClose(): void {
    this.socket.end();
  }

  /** Waits until the server has read everything, or has hung up, or says nothing. */
  async settle(): Promise<void> {
    await this.send(ping(LAST_PING), frame(FRAME.SETTINGS, 1, 0));
    await this.#until(() => this.#isClosed || this.#lastPingAnswered);
  }

  hangUp(): void {
    this.socket.destroy();
  }

  async #until(isDone: () => boolean): Promise<void> {
    const silence = AbortSignal.timeout(SILENCE_MS);
    silence.addEventListener('abort', () => this.#changed());
    const drained = () => this.#changed();
    this.socket.on('drain', drained);
    while (!isDone() && !silence.aborted) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    this.socket.off('drain', drained);
  }
}
