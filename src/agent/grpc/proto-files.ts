import { fileURLToPath } from 'node:url';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';

/** The folder that imports inside the definitions are relative to. */
const protoFolder = fileURLToPath(new URL('../proto/', import.meta.url));

/** The packages whose services are answered. */
export const SERVICE_PACKAGES = ['lybic.agent', 'nestjs_task_storage.v1'];

/** The full names of the services, because an application may serve another `Agent`. */
export const AGENT_SERVICE = 'lybic.agent.Agent';
export const TASK_SERVICE = 'nestjs_task_storage.v1.TaskService';

function inFolder(...paths: string[]): string[] {
  return paths.map((path) => protoFolder + path);
}

/** The definitions of the services. */
export const SERVICE_PROTO_PATHS = inFolder(
  'lybic/agent/agent.proto',
  'nestjs_task_storage/v1/task_service.proto',
);

/** The definitions of error details. Reflection leaves them to its clients, who know Google's own. */
const ERROR_PROTO_PATHS = inFolder('google/rpc/status.proto', 'google/rpc/error_details.proto');

/**
 * Field names stay as they are defined. Fields that were not sent stay away, so that `optional` ones
 * show whether they were. An int64 is text, because a number would round it.
 */
export const LOADER_OPTIONS = {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: false,
  oneofs: false,
  includeDirs: [protoFolder],
} satisfies Options;

/** @throws when the definitions are missing beside the code, or wrong */
export function loadErrorDefinitions(): PackageDefinition {
  return loadSync(ERROR_PROTO_PATHS, LOADER_OPTIONS);
}
