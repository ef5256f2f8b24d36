// Loaded into the service before anything else: its clock can be set wrong, and its memory be asked.
// The monotonic clock (timers, performance.now) goes on as it does on a machine whose clock is set.
const RealDate = Date;
let shiftMs = 0;

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) {
      super(RealDate.now() + shiftMs);
    } else {
      super(...parts);
    }
  }

  static now() {
    return RealDate.now() + shiftMs;
  }
};

process.on('message', (message) => {
  if (message.kind === 'clock') {
    shiftMs = message.shiftMs;
  } else {
    globalThis.gc?.();
  }
  process.send({ kind: message.kind, memory: process.memoryUsage() });
});
process.channel.unref();
