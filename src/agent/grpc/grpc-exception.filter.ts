import { Catch, Logger, type RpcExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';
import { describeError } from '../describe-error.js';
import { ErrorDetails } from './error-details.js';
import { toCallFailure } from './grpc-status.js';

/** The message goes into a header, where 8 KB in all is safe everywhere. */
const MAX_MESSAGE_CHARACTERS = 1_000;

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
    const message = failure.message.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed();
    const metadata = this.#details.toTrailers({ ...failure, message });
    return throwError(() => ({ code: failure.code, message, details: message, metadata }));
  }
}
