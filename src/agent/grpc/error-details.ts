import { Metadata } from '@grpc/grpc-js';
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';
import { z } from 'zod';
import type { CallFailure } from './grpc-status.js';
import { loadErrorDefinitions } from './proto-files.js';

const DETAILS_KEY = 'grpc-status-details-bin';
const DOMAIN = 'nestjs-task-storage';
const ERROR_INFO = 'google.rpc.ErrorInfo';

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
  toTrailers({ code, message, reason, field, metadata }: CallFailure): Metadata {
    const trailers = metadata?.clone() ?? new Metadata();
    if (reason !== null) {
      const errorInfo = { reason, domain: DOMAIN, metadata: field === undefined ? {} : { field } };
      const value = encode(this.#definitions, ERROR_INFO, errorInfo);
      const details = [{ type_url: `type.googleapis.com/${ERROR_INFO}`, value }];
      trailers.set(
        DETAILS_KEY,
        encode(this.#definitions, 'google.rpc.Status', { code, message, details }),
      );
    }
    return trailers;
  }
}
