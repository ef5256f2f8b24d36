/** `google.protobuf.Timestamp` as the encoder takes it. */
export interface Timestamp {
  seconds: number;
  nanos: number;
}

const MS_PER_SECOND = 1000;
const NANOSECONDS_PER_MS = 1_000_000;

/** Nanoseconds count forward even before 1970. */
export function toTimestamp(time: Date): Timestamp {
  const seconds = Math.floor(time.getTime() / MS_PER_SECOND);
  const milliseconds = time.getTime() - seconds * MS_PER_SECOND;
  return { seconds, nanos: milliseconds * NANOSECONDS_PER_MS };
}
