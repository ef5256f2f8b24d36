import type { PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { RefusedRequest } from '../wire/request-parsing.js';
import { MessageShapes } from '../wire/message-shapes.js';
import { findWireProblem } from '../wire/wire-checker.js';

/**
 * Has the requests of services checked before they are decoded. What is wrong reaches the handler as a
 * {@link RefusedRequest}, because grpc-js would answer an error of the decoder with `INTERNAL`.
 *
 * @param definitions changed in place: the server is handed them by whoever loaded them
 */
export function checkRequests(
  definitions: PackageDefinition,
  serviceNames: readonly string[],
): void {
  const shapes = new MessageShapes(definitions);
  for (const serviceName of serviceNames) {
    for (const method of Object.values(serviceOf(definitions, serviceName))) {
      const shape = shapes.of(method.requestType, serviceName);
      const decode = method.requestDeserialize;
      method.requestDeserialize = (bytes: Buffer): object => {
        const found = findWireProblem(bytes, shape);
        return found === null ? decode(bytes) : new RefusedRequest(found.field, found.problem);
      };
    }
  }
}

function serviceOf(definitions: PackageDefinition, name: string): ServiceDefinition {
  const definition = definitions[name];
  if (definition === undefined || 'format' in definition) {
    throw new Error(`The definitions have no service ${name}`);
  }
  return definition;
}
