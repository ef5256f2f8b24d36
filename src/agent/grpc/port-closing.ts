import type { Server } from '@grpc/grpc-js';

/** How long calls get to send their last messages when the port closes. */
const LAST_MESSAGES_LIMIT_MS = 2_000;

/** A call does not show which server it came through, so this is for the whole process. */
const closingServers = new Set<Server>();

/** The reason of a signal that says that a call has ended. */
const PORT_CLOSING = Symbol('port closing');

/** Says that a call has ended, and remembers why: a moment later the port may have closed. */
export function endCall(call: AbortController): void {
  call.abort(closingServers.size > 0 ? PORT_CLOSING : undefined);
}

/** Whether a call broke because this process closes its port, and not because its client went. */
export function isBrokenByPort(callEnded: AbortSignal): boolean {
  return callEnded.reason === PORT_CLOSING;
}

/**
 * Nest waits for the calls of a server that it shuts down gracefully, without a limit: a client that
 * keeps a stream of reflection open, or reads nothing, would keep the process for ever.
 */
export function limitGracefulShutdown(server: Server): void {
  const tryShutdown = server.tryShutdown.bind(server);
  server.tryShutdown = (callback) => {
    closingServers.add(server);
    const timer = setTimeout(() => server.forceShutdown(), LAST_MESSAGES_LIMIT_MS);
    tryShutdown((error) => {
      clearTimeout(timer);
      closingServers.delete(server);
      callback(error);
    });
  };
}
