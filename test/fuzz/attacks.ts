import { gzipSync } from 'node:zlib';
import type { Random } from '../cluster/random.js';
import { allMethods, delimited, tag, varint } from '../support/wire-fields.js';
import { Attacker } from './attacker.js';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  callHeaders,
  frame,
  grpcMessage,
  headerBlock,
  openCall,
  ping,
  PREFACE,
  settings,
  uint32,
  wholeCall,
} from './http2-frames.js';

const QUERY = '/lybic.agent.Agent/QueryTaskStatus';
const MIB = 1024 * 1024;
const FLOOD = 5_000;
const SETTINGS_INITIAL_WINDOW_SIZE = 4;

/** One way to be hostile. @returns connections that are to stay open for a while */
export interface Attack {
  readonly kind: string;
  run(port: number, random: Random): Promise<Attacker | null>;
}

function randomBytes(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: random.integer(0, most) }, () => random.integer(0, 255)));
}

function randomPath(random: Random): string {
  return random.pick(allMethods).path;
}

function repeated(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** Sends what is made after the usual greeting, and lets the server work it off. */
function sending(kind: string, make: (random: Random) => readonly Buffer[]): Attack {
  return {
    kind,
    run: async (port, random) => {
      const attacker = await Attacker.greet(port);
      await attacker.send(...make(random));
      await attacker.settle();
      attacker.hangUp();
      return null;
    },
  };
}

/** The same without the greeting. */
function bare(kind: string, make: (random: Random) => readonly Buffer[]): Attack {
  return {
    kind,
    run: async (port, random) => {
      const attacker = await Attacker.connect(port);
      await attacker.send(...make(random));
      await attacker.settle();
      attacker.hangUp();
      return null;
    },
  };
}

/** Sends more than the server can answer to somebody who does not read. */
function flooding(kind: string, make: () => Buffer): Attack {
  return {
    kind,
    run: async (port) => {
      const attacker = await Attacker.greet(port);
      attacker.stopReading();
      await attacker.send(make());
      attacker.readAgain();
      await attacker.settle();
      attacker.hangUp();
      return null;
    },
  };
}

/** A call, or a part of one, that stays open. */
function lingering(
  kind: string,
  begin: (attacker: Attacker, random: Random) => Promise<void>,
  ...options: readonly (readonly [number, number])[]
): Attack {
  return {
    kind,
    run: async (port, random) => {
      const attacker = await Attacker.greet(port, ...options);
      await begin(attacker, random);
      return attacker;
    },
  };
}

function streamId(index: number): number {
  return index * 2 + 1;
}

const frameAttacks: readonly Attack[] = [
  bare('wrong preface', (random) => [
    random.pick([
      Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'),
      Buffer.from('16030100c8010000c40303', 'hex'),
      randomBytes(random, 500),
      PREFACE.subarray(0, 10),
    ]),
  ]),
  bare('preface without SETTINGS', () => [PREFACE, openCall(1, QUERY)]),
  sending('wrong frame size', (random) => [
    random.pick([
      frame(FRAME.DATA, 0, 1, Buffer.alloc(10), 0xff_ffff),
      frame(FRAME.SETTINGS, 0, 0, Buffer.alloc(5)),
      frame(FRAME.SETTINGS, 1, 0, Buffer.alloc(6)),
      frame(FRAME.PING, 0, 0, Buffer.alloc(7)),
      frame(FRAME.RST_STREAM, 0, 1, Buffer.alloc(3)),
      frame(FRAME.PRIORITY, 0, 1, Buffer.alloc(4)),
      frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(2)),
      frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(0)),
      frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(0xffff_ffff)),
      frame(FRAME.HEADERS, END_HEADERS + 8, 1, Buffer.of(255, 1, 2)),
      frame(FRAME.DATA, 0, 1, Buffer.alloc(200_000)),
    ]),
  ]),
  sending('wrong stream', (random) => [
    random.pick([
      frame(FRAME.DATA, 0, 0, Buffer.alloc(10)),
      frame(FRAME.DATA, 0, 99, Buffer.alloc(10)),
      openCall(2, QUERY),
      openCall(0, QUERY),
      Buffer.concat([openCall(9, QUERY), openCall(3, QUERY)]),
      Buffer.concat([wholeCall(1, QUERY, grpcMessage(Buffer.alloc(0))), openCall(1, QUERY)]),
      frame(FRAME.CONTINUATION, END_HEADERS, 1, Buffer.alloc(3)),
      frame(FRAME.PUSH_PROMISE, END_HEADERS, 1, uint32(2)),
      frame(FRAME.SETTINGS, 0, 7),
      frame(FRAME.RST_STREAM, 0, 77, uint32(8)),
    ]),
  ]),
  sending('garbage HPACK', (random) => [
    frame(FRAME.HEADERS, END_HEADERS + END_STREAM, 1, randomBytes(random, 300)),
  ]),
  sending('random frames', (random) =>
    Array.from({ length: random.integer(1, 40) }, () =>
      frame(
        random.integer(0, 12),
        random.integer(0, 255),
        random.integer(0, 9),
        randomBytes(random, 60),
      ),
    ),
  ),
  sending('changed bytes', (random) => {
    const call = wholeCall(1, randomPath(random), grpcMessage(delimited(1, Buffer.from('task'))));
    for (let changes = random.integer(1, 6); changes > 0; changes -= 1) {
      call.writeUInt8(random.integer(0, 255), random.integer(0, call.length - 1));
    }
    return [call];
  }),
  sending('wrong settings', (random) => [
    settings([2, 7], [4, 0xffff_ffff]),
    settings([5, random.integer(0, 16_000)]),
  ]),
];

const floods: readonly Attack[] = [
  flooding('SETTINGS flood', () => repeated(FLOOD, () => settings([3, 100]))),
  flooding('PING flood', () => repeated(FLOOD, (index) => ping(index))),
  flooding('RST_STREAM flood', () =>
    repeated(FLOOD, (index) =>
      Buffer.concat([
        openCall(streamId(index), QUERY),
        frame(FRAME.RST_STREAM, 0, streamId(index), uint32(8)),
      ]),
    ),
  ),
  flooding('calls without an end', () =>
    repeated(FLOOD, (index) => openCall(streamId(index), QUERY)),
  ),
  flooding('calls that nobody reads', () =>
    repeated(FLOOD, (index) => wholeCall(streamId(index), QUERY, grpcMessage(Buffer.alloc(0)))),
  ),
  flooding('CONTINUATION flood', () =>
    Buffer.concat([
      frame(FRAME.HEADERS, 0, 1, headerBlock(callHeaders(QUERY))),
      repeated(FLOOD, (index) =>
        frame(FRAME.CONTINUATION, 0, 1, headerBlock([[`key-${index}`, 'x'.repeat(100)]])),
      ),
    ]),
  ),
  flooding('empty CONTINUATION flood', () =>
    Buffer.concat([
      frame(FRAME.HEADERS, 0, 1, headerBlock(callHeaders(QUERY))),
      repeated(FLOOD, () => frame(FRAME.CONTINUATION, 0, 1)),
    ]),
  ),
  flooding('empty DATA flood', () =>
    Buffer.concat([openCall(1, QUERY), repeated(FLOOD, () => frame(FRAME.DATA, 0, 1))]),
  ),
  flooding('PRIORITY flood', () =>
    repeated(FLOOD, (index) => frame(FRAME.PRIORITY, 0, streamId(index), Buffer.alloc(5, 1))),
  ),
  flooding('WINDOW_UPDATE flood', () =>
    repeated(FLOOD, () => frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1))),
  ),
];

const halfOpen: readonly Attack[] = [
  lingering('slow loris', async (attacker) => {
    await attacker.send(openCall(1, QUERY), frame(FRAME.DATA, 0, 1, Buffer.of(0)));
  }),
  lingering('half-closed socket', async (attacker) => {
    await attacker.send(openCall(1, QUERY));
    attacker.halfClose();
  }),
  lingering('half a frame', async (attacker) => {
    await attacker.send(openCall(1, QUERY).subarray(0, 20));
  }),
  lingering(
    'closed window',
    async (attacker, random) => {
      await attacker.send(wholeCall(1, randomPath(random), grpcMessage(Buffer.alloc(0))));
    },
    [SETTINGS_INITIAL_WINDOW_SIZE, 0],
  ),
];

const GZIP_BOMB = gzipSync(Buffer.alloc(32 * MIB));
const CUT_GZIP = gzipSync(delimited(1, Buffer.from('task'))).subarray(0, 15);

const PROTOBUF_BOMBS: readonly Buffer[] = [
  Buffer.alloc(MIB, 0x0b),
  Buffer.concat([Buffer.alloc(300_000, 0x7b), Buffer.alloc(300_000, 0x7c)]),
  Buffer.concat([tag(1, 2), Buffer.alloc(20, 0xff)]),
  Buffer.concat([tag(3, 2), varint(2n ** 64n - 1n)]),
  Array.from({ length: 2_000 }).reduce<Buffer>((content) => delimited(3, content), Buffer.alloc(0)),
  repeated(50_000, () => delimited(3, delimited(8, delimited(2, Buffer.alloc(0))))),
];

const messageAttacks: readonly Attack[] = [
  sending('wrong gRPC framing', (random) => {
    const text = delimited(1, Buffer.from('task'));
    return [
      wholeCall(
        1,
        randomPath(random),
        random.pick([
          Buffer.of(0, 0),
          grpcMessage(text, 0, 4 * MIB),
          grpcMessage(text, 0, 0xffff_ffff),
          grpcMessage(text, 0, 2),
          grpcMessage(text, 7),
          Buffer.concat([grpcMessage(text), grpcMessage(text)]),
          Buffer.alloc(0),
        ]),
      ),
    ];
  }),
  sending('wrong compression', (random) => [
    wholeCall(
      1,
      randomPath(random),
      grpcMessage(random.pick([randomBytes(random, 100), GZIP_BOMB, CUT_GZIP]), 1),
      [['grpc-encoding', random.pick(['gzip', 'deflate', 'identity', 'br', ''])]],
    ),
  ]),
  sending('wrong headers', (random) => [
    wholeCall(1, randomPath(random), grpcMessage(Buffer.alloc(0)), [
      random.pick([
        ['grpc-timeout', 'soon'],
        ['grpc-timeout', '99999999H'],
        ['grpc-timeout', '0n'],
        ['content-type', 'text/plain'],
        [':method', 'GET'],
        [':path', '/../../etc/passwd'],
        [':path', ''],
        ['te', 'none'],
        ['idempotency-key', 'x'.repeat(5_000)],
        ['grpc-trace-bin', '%%%'],
        ['connection', 'close'],
        ['Upper', 'case'],
        ['a\0b', 'c\r\nd'],
      ] as const),
    ]),
  ]),
  sending('many headers', () => [
    wholeCall(
      1,
      QUERY,
      grpcMessage(Buffer.alloc(0)),
      Array.from({ length: 150 }, (_, index) => [`key-${index}`, 'value'] as const),
    ),
  ]),
  sending('malformed protobuf', (random) =>
    Array.from({ length: 10 }, (_, index) =>
      wholeCall(streamId(index), randomPath(random), grpcMessage(randomBytes(random, 80))),
    ),
  ),
  sending('protobuf bombs', (random) => [
    wholeCall(1, randomPath(random), grpcMessage(random.pick(PROTOBUF_BOMBS))),
  ]),
];

/** Every way to be hostile. */
export const attacks: readonly Attack[] = [
  ...frameAttacks,
  ...floods,
  ...halfOpen,
  ...messageAttacks,
];
