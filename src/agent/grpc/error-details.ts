import { Metadata } from '@grpc/grpc-js';
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';
import { z } from 'zod';
import type { CallFailure } from './grpc-status.js';
import { loadErrorDefinitions } from './proto-files.js';

const DETAILS_KEY = 'grpc-status-details-bin';
const DOMAIN = 'nestjs-task-storage';
const ERROR_INFO = 'google.rpc.ErrorInfo';
const RETRY_INFO = 'google.rpc.RetryInfo';

const MS_PER_SECOND = 1000;
const NANOSECONDS_PER_MS = 1_000_000;

const messageType = z.custom<MessageTypeDefinition<object, object>>(
  (definition) =>
    typeof definition === 'object' && definition !== null && 'serialize' in definition,
);

function encode(definitions: PackageDefinition, name: string, message: object): Buffer {
  return messageType.parse(definitions[name]).serialize(message);
}

/** Writes the details of failed calls as AIP-193 asks for: a google.rpc.Status with an ErrorInfo. */
export class ErrorDetails {
  readonly #definitions = loadErrorDefinitions();

  /** @returns the trailers of the failed call; none when there is nothing to add */
  toTrailers({ code, message, reason, field, retryAfterMs, metadata }: CallFailure): Metadata {
    const trailers = metadata?.clone() ?? new Metadata();
    if (reason !== null) {
      const errorInfo = { reason, domain: DOMAIN, metadata: field === undefined ? {} : { field } };
      const details = [this.#detail(ERROR_INFO, errorInfo)];
      if (retryAfterMs !== undefined) {
        details.push(this.#detail(RETRY_INFO, { retry_delay: toDuration(retryAfterMs) }));
      }
      trailers.set(
        DETAILS_KEY,
        encode(this.#definitions, 'google.rpc.Status', { code, message, details }),
      );
    }
    return trailers;
  }

  #detail(name: string, message: object) {
    return {
      type_url: `type.googleapis.com/${name}`,
      value: encode(this.#definitions, name, message),
    };
  }
}

function toDuration(ms: number): { seconds: number; nanos: number } {
  const wholeMs = Math.ceil(ms);
  return {
    seconds: Math.floor(wholeMs / MS_PER_SECOND),
    nanos: (wholeMs % MS_PER_SECOND) * NANOSECONDS_PER_MS,
  };
}
