import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Looks at what a client sends over one connection; a new one for each connection. */
export type Watcher = (bytes: Buffer) => boolean;

/** How slow a line is. */
export interface Slowness {
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
}

/** Stands between a client and a server, so that a test can make the line between them bad. */
export interface TcpProxy {
  readonly port: number;
  /** Resets every connection and refuses new ones. */
  cut(): void;
  /** Takes everything and passes nothing on, without a word: what is lost is lost. */
  blackHole(): void;
  /** Keeps what comes; {@link TcpProxy.restore} passes it on, in its order. */
  pause(): void;
  slowDown(slowness: Slowness): void;
  /**
   * Passes on what is asked for, and resets the connection instead of passing on the answer to it.
   *
   * @param makeWatcher whose watchers tell which bytes are to get no answer; all, from now on
   * @returns ends it
   */
  swallowAnswers(makeWatcher: () => Watcher): () => void;
  /** How many answers were swallowed since the last time that it was begun. */
  readonly swallowed: number;
  /** Resets every connection once; new ones are let through. */
  reset(): void;
  /** Lets everything through again. Connections that a black hole took from are reset. */
  restore(): void;
  /** From now on new connections lead there. */
  leadTo(targetPort: number): void;
  close(): Promise<void>;
}

type Mode = 'open' | 'cut' | 'black hole' | 'paused';

/** One connection through the proxy. */
class Line {
  /** Whether bytes of it were thrown away, so that the rest makes no sense. */
  isDamaged = false;
  watcher: Watcher | null = null;
  isAnswerUnwanted = false;

  constructor(
    readonly downstream: Socket,
    readonly upstream: Socket,
  ) {}

  reset(): void {
    this.downstream.resetAndDestroy();
    this.upstream.resetAndDestroy();
  }
}

class Proxy {
  readonly lines = new Set<Line>();
  /** Connections of a black hole, which lead nowhere. */
  readonly lost = new Set<Socket>();
  #mode: Mode = 'open';
  #slowness: Slowness = {};
  #makeWatcher: (() => Watcher) | null = null;
  swallowed = 0;
  #opened: (() => void)[] = [];

  constructor(public targetPort: number) {}

  accept(downstream: Socket): void {
    downstream.on('error', () => undefined);
    if (this.#mode === 'cut') {
      downstream.resetAndDestroy();
      return;
    }
    if (this.#mode === 'black hole') {
      this.lost.add(downstream);
      downstream.resume();
      downstream.on('close', () => this.lost.delete(downstream));
      return;
    }
    const line = new Line(downstream, connect(this.targetPort, '127.0.0.1'));
    line.watcher = this.#makeWatcher?.() ?? null;
    this.lines.add(line);
    this.#carry(line, line.downstream, line.upstream, (bytes) => this.#lookAtQuestion(line, bytes));
    this.#carry(line, line.upstream, line.downstream, () => this.#swallowsAnswer(line));
  }

  set(mode: Mode, slowness: Slowness = {}): void {
    this.#mode = mode;
    this.#slowness = slowness;
    if (mode === 'open' || mode === 'cut') {
      this.#opened.splice(0).forEach((open) => open());
    }
  }

  swallow(makeWatcher: () => Watcher): () => void {
    this.swallowed = 0;
    this.#makeWatcher = makeWatcher;
    // A watcher has to see a connection from its beginning.
    this.reset();
    return () => {
      this.#makeWatcher = null;
      this.lines.forEach((line) => {
        line.watcher = null;
      });
    };
  }

  reset(): void {
    this.lines.forEach((line) => line.reset());
    this.lost.forEach((socket) => socket.resetAndDestroy());
  }

  restore(): void {
    for (const line of this.lines) {
      if (line.isDamaged) {
        line.reset();
        this.lines.delete(line);
      }
    }
    this.lost.forEach((socket) => socket.resetAndDestroy());
    this.set('open');
  }

  /** @param swallows looks at the bytes; `true` when they are not to be passed on */
  #carry(line: Line, from: Socket, to: Socket, swallows: (bytes: Buffer) => boolean): void {
    // Small messages back and forth: waiting for more would make each of them slow.
    from.setNoDelay(true);
    let before = Promise.resolve();
    const pass = async (bytes: Buffer, earlier: Promise<void>): Promise<void> => {
      await earlier;
      await this.#letThrough(bytes);
      if (this.#mode === 'black hole') {
        line.isDamaged = true;
      } else if (!swallows(bytes) && to.writable) {
        to.write(bytes);
      }
    };
    from.on('data', (bytes: Buffer) => {
      before = pass(bytes, before);
    });
    from.on('error', () => to.destroy());
    from.on('end', () => void before.then(() => to.end()));
    from.on('close', () => {
      if (this.#mode === 'black hole') {
        // The other end does not hear of it either.
        line.isDamaged = true;
        return;
      }
      this.lines.delete(line);
      void before.then(() => to.destroy());
    });
  }

  async #letThrough(bytes: Buffer): Promise<void> {
    while (this.#mode === 'paused') {
      await new Promise<void>((resolve) => this.#opened.push(resolve));
    }
    const { delayMs = 0, bytesPerSecond = Infinity } = this.#slowness;
    const waitMs = delayMs + (bytes.length * 1000) / bytesPerSecond;
    if (waitMs > 0) {
      await delay(waitMs);
    }
  }

  #lookAtQuestion(line: Line, bytes: Buffer): boolean {
    line.isAnswerUnwanted ||= line.watcher?.(bytes) ?? false;
    return false;
  }

  #swallowsAnswer(line: Line): boolean {
    if (line.isAnswerUnwanted) {
      this.swallowed += 1;
      line.reset();
    }
    return line.isAnswerUnwanted;
  }
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = new Proxy(targetPort);
  const server = createServer((socket) => proxy.accept(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('The proxy has no port');
  }
  return {
    port: address.port,
    cut: () => {
      proxy.set('cut');
      proxy.reset();
    },
    blackHole: () => proxy.set('black hole'),
    pause: () => proxy.set('paused'),
    slowDown: (slowness) => proxy.set('open', slowness),
    swallowAnswers: (makeWatcher) => proxy.swallow(makeWatcher),
    get swallowed() {
      return proxy.swallowed;
    },
    reset: () => proxy.reset(),
    restore: () => proxy.restore(),
    leadTo: (port) => {
      proxy.targetPort = port;
    },
    close: async () => {
      proxy.set('cut');
      proxy.reset();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
