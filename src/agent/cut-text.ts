/** Shows that a text went on. */
const CUT_MARK = '… (cut)';

/** Cuts a text that is longer than a number of bytes of UTF-8, with a mark that says so. */
export function cutToBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) {
    return text;
  }
  // Each UTF-16 unit takes a byte at least: the rest need not be encoded.
  const bytes = Buffer.from(text.slice(0, maxBytes)).subarray(0, maxBytes);
  // A stream may go on, so the beginning of a character that was cut is left out.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true }) + CUT_MARK;
}
