/* Frames of HTTP/2 (RFC 9113), written by hand so that they can be wrong. */

/** https://www.rfc-editor.org/rfc/rfc9113#name-frame-definitions */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const END_STREAM = 1;
export const END_HEADERS = 4;
export const ACK = 1;

const FRAME_HEADER_BYTES = 9;
const MAX_LENGTH_IN_7_BITS = 127;

/** What a client of HTTP/2 sends first. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** @param claimedLength what the frame says of its own length */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Buffer = Buffer.alloc(0),
  claimedLength = payload.length,
): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(claimedLength, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, payload]);
}

/** @param entries of identifier and value */
export function settings(...entries: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.concat(
    entries.map(([identifier, value]) => {
      const entry = Buffer.alloc(6);
      entry.writeUInt16BE(identifier, 0);
      entry.writeUInt32BE(value, 2);
      return entry;
    }),
  );
  return frame(FRAME.SETTINGS, 0, 0, payload);
}

export function ping(content: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(content, 4);
  return frame(FRAME.PING, 0, 0, payload);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** An HPACK string without Huffman coding (RFC 7541, 5.2). */
function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < MAX_LENGTH_IN_7_BITS) {
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  }
  const length = [MAX_LENGTH_IN_7_BITS];
  let rest = bytes.length - MAX_LENGTH_IN_7_BITS;
  while (rest >= 128) {
    length.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** A block of header lines, none of them indexed. */
export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    headers.flatMap(([name, value]) => [Buffer.of(0), hpackString(name), hpackString(value)]),
  );
}

/** The header lines of a gRPC call. Those that are given replace those of the same name. */
export function callHeaders(
  path: string,
  given: readonly (readonly [string, string])[] = [],
): (readonly [string, string])[] {
  const usual: (readonly [string, string])[] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', '127.0.0.1'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ];
  return [...usual.filter(([name]) => !given.some(([other]) => other === name)), ...given];
}

/** The beginning of a call: its headers in one frame. */
export function openCall(
  streamId: number,
  path: string,
  given: readonly (readonly [string, string])[] = [],
  flags: number = END_HEADERS,
): Buffer {
  return frame(FRAME.HEADERS, flags, streamId, headerBlock(callHeaders(path, given)));
}

/** A message as gRPC frames it. @param claimedLength what its prefix says of its length */
export function grpcMessage(content: Buffer, flag = 0, claimedLength = content.length): Buffer {
  return Buffer.concat([Buffer.of(flag), uint32(claimedLength), content]);
}

/** A whole call of one message; larger ones than a frame may be are split. */
export function wholeCall(
  streamId: number,
  path: string,
  message: Buffer,
  given: readonly (readonly [string, string])[] = [],
): Buffer {
  const parts: Buffer[] = [openCall(streamId, path, given)];
  const size = 16_384;
  for (let start = 0; start < message.length; start += size) {
    parts.push(frame(FRAME.DATA, 0, streamId, message.subarray(start, start + size)));
  }
  return Buffer.concat([...parts, frame(FRAME.DATA, END_STREAM, streamId)]);
}
