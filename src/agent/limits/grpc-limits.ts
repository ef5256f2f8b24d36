import { z } from 'zod';
import { integer, readEnvironment, type EnvironmentSource } from '../../config/environment.js';

/*
 * What one connection may take of the server. grpc-js 1.14 enforces these three. Node.js by itself
 * refuses calls with more than 128 header lines and ends sessions that flood it with SETTINGS, PING
 * or RST_STREAM frames. Nobody can be told how often to ping: grpc-js ignores the
 * `grpc.http2.min_ping_interval...` options of other gRPC servers.
 */

const MIB = 1024 * 1024;

/** What each limit may be, written in the environment or given in code. */
const grpcLimitParsers = {
  maxMessageBytes: integer({ minimum: 1024, maximum: 1024 * MIB, defaultValue: 4 * MIB }),
  maxConcurrentCalls: integer({ minimum: 1, maximum: 1_000_000, defaultValue: 1_000 }),
  maxConnectionIdleMs: integer({ minimum: 1_000, maximum: 86_400_000, defaultValue: 300_000 }),
};

/** What one connection may take of the server. */
export interface GrpcLimitOptions {
  /** A larger request is `RESOURCE_EXHAUSTED`, unpacked if it was compressed. Default 4194304. */
  maxMessageBytes?: number | undefined;
  /** How many calls, streams among them, one connection may have open; more wait. Default 1000. */
  maxConcurrentCalls?: number | undefined;
  /**
   * A connection without a call for so many ms is closed, however often it pings; clients open
   * another for their next call. Default 300000.
   */
  maxConnectionIdleMs?: number | undefined;
}

/** The variables of {@link GrpcLimitOptions}. */
export const grpcLimitVariables = {
  /** Bytes of the largest request. */
  GRPC_MAX_MESSAGE_BYTES: grpcLimitParsers.maxMessageBytes,
  /** How many calls one connection may have open. */
  GRPC_MAX_CONCURRENT_CALLS: grpcLimitParsers.maxConcurrentCalls,
  /** Milliseconds without a call after which a connection is closed. */
  GRPC_MAX_CONNECTION_IDLE_MS: grpcLimitParsers.maxConnectionIdleMs,
};

/** @throws {ConfigurationError} with one sentence for each variable that is wrong */
export function readGrpcLimits(source: EnvironmentSource): GrpcLimitOptions {
  const variables = readEnvironment(z.object(grpcLimitVariables), source);
  return {
    maxMessageBytes: variables.GRPC_MAX_MESSAGE_BYTES,
    maxConcurrentCalls: variables.GRPC_MAX_CONCURRENT_CALLS,
    maxConnectionIdleMs: variables.GRPC_MAX_CONNECTION_IDLE_MS,
  };
}

/**
 * The options of a grpc-js server.
 *
 * @throws {ConfigurationError} with one sentence for each limit that is wrong
 */
export function toChannelOptions(options: GrpcLimitOptions) {
  const limits = readEnvironment(
    z.object(grpcLimitParsers),
    new Map<string, unknown>(Object.entries(options)),
  );
  return {
    'grpc.max_receive_message_length': limits.maxMessageBytes,
    'grpc.max_concurrent_streams': limits.maxConcurrentCalls,
    'grpc.max_connection_idle_ms': limits.maxConnectionIdleMs,
  };
}
