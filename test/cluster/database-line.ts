import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * The line between one replica and the database. While it is held nothing gets through, in neither
 * direction; afterwards everything does, in its order. So a statement arrives that was sent long
 * ago, by a replica that was the owner of its task then.
 */
export class DatabaseLine {
  readonly #ends = new Set<readonly [Socket, Socket]>();
  #isHeld = false;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async open(targetPort: number): Promise<DatabaseLine> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new Error('The line has no port');
    }
    const line = new DatabaseLine(server, address.port);
    server.on('connection', (socket) => line.#join(socket, connect(targetPort, '127.0.0.1')));
    return line;
  }

  hold(): void {
    this.#isHeld = true;
    for (const [near, far] of this.#ends) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  release(): void {
    this.#isHeld = false;
    for (const [near, far] of this.#ends) {
      near.pipe(far);
      far.pipe(near);
    }
  }

  close(): void {
    this.server.close();
    for (const [near, far] of this.#ends) {
      near.destroy();
      far.destroy();
    }
  }

  #join(near: Socket, far: Socket): void {
    const ends = [near, far] as const;
    this.#ends.add(ends);
    for (const [socket, other] of [ends, [far, near]] as const) {
      // Small messages back and forth: waiting for more would make each of them slow.
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#ends.delete(ends);
        other.destroy();
      });
    }
    if (!this.#isHeld) {
      near.pipe(far);
      far.pipe(near);
    }
  }
}
