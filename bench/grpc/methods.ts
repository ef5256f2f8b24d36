import { loadPackageDefinition, type Client, type MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { LOADER_OPTIONS, SERVICE_PROTO_PATHS } from '../../src/agent/grpc/proto-files.js';

/** A unary method, its messages unchecked: the bench sends what it knows to be right. */
export type UnaryMethod = MethodDefinition<object, object>;

/** The methods that are measured. */
export const METHOD_NAMES = ['QueryTaskStatus', 'GetTask'] as const;

/** One of {@link METHOD_NAMES}. */
export type MethodName = (typeof METHOD_NAMES)[number];

const SERVICES = {
  QueryTaskStatus: ['lybic', 'agent', 'Agent'],
  GetTask: ['nestjs_task_storage', 'v1', 'TaskService'],
} as const;

const definitions: unknown = loadPackageDefinition(loadSync(SERVICE_PROTO_PATHS, LOADER_OPTIONS));

/** @throws when the definitions have no such method */
export function methodOf(name: MethodName): UnaryMethod {
  const service = [...SERVICES[name], 'service', name].reduce(property, definitions);
  if (!isUnaryMethod(service)) {
    throw new Error(`The definitions have no method ${name}`);
  }
  return service;
}

/** Calls a method once. */
export async function callUnary(
  client: Client,
  { path, requestSerialize, responseDeserialize }: UnaryMethod,
  request: object,
): Promise<object> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      (error, value) => {
        if (error === null && value !== undefined) {
          resolve(value);
        } else {
          reject(error ?? new Error(`${path} answered nothing`));
        }
      },
    );
  });
}

function property(value: unknown, key: string): unknown {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
    ? Reflect.get(value, key)
    : undefined;
}

function isUnaryMethod(value: unknown): value is UnaryMethod {
  return typeof value === 'object' && value !== null && 'requestSerialize' in value;
}
