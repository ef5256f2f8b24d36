import { Catch, Logger, type RpcExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';
import { describeError } from '../describe-error.js';
import { ErrorDetails } from './error-details.js';
import { toCallFailure } from './grpc-status.js';

/**
 * The message goes into a header, percent-encoded, and once more into the details, where 8 KB in all
 * is safe everywhere.
 */
const MAX_ENCODED_MESSAGE_BYTES = 2_000;

/** Cuts a message by the bytes that it takes when it is percent-encoded, as grpc-js does it. */
function cutToHeader(message: string): string {
  let end = 0;
  let bytes = 0;
  for (const character of message) {
    bytes += encodeURI(character).length;
    if (bytes > MAX_ENCODED_MESSAGE_BYTES) {
      break;
    }
    end += character.length;
  }
  return message.slice(0, end);
}

/** Answers failed calls, streams too: status, message and details for the caller, causes for the log. */
@Catch()
export class GrpcExceptionFilter implements RpcExceptionFilter {
  readonly #logger = new Logger(GrpcExceptionFilter.name);
  readonly #details = new ErrorDetails();

  catch(exception: unknown): Observable<never> {
    const failure = toCallFailure(exception);
    if (failure.isInternal) {
      const stack = exception instanceof Error ? exception.stack : undefined;
      this.#logger.error(`A call failed: ${describeError(exception)}`, stack);
    }
    // Half a character cannot be written into a header.
    const message = cutToHeader(failure.message.toWellFormed());
    const metadata = this.#details.toTrailers({ ...failure, message });
    return throwError(() => ({ code: failure.code, message, details: message, metadata }));
  }
}
