/* A server that does nothing but answer: what any service on grpc-js costs. */
import { Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';
import type { BareRequest } from './messages.js';
import { METHOD_NAMES, methodOf } from './methods.js';

async function serve({ answers }: BareRequest): Promise<number> {
  const server = new Server();
  for (const name of METHOD_NAMES) {
    const { path, responseSerialize, requestDeserialize } = methodOf(name);
    const handle: handleUnaryCall<object, object> = (_call, callback) =>
      callback(null, answers[name]);
    server.register(path, handle, responseSerialize, requestDeserialize, 'unary');
  }
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) {
        resolve(port);
      } else {
        reject(error);
      }
    });
  });
}

process.on('message', (request: BareRequest) => {
  serve(request).then(
    (port) => process.send?.({ port }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
