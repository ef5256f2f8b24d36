import { fileURLToPath } from 'node:url';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';

/** The folder that imports inside the definitions are relative to. */
const protoFolder = fileURLToPath(new URL('../proto/', import.meta.url));

/** The packages whose services this service answers. */
export const AGENT_PACKAGES = ['lybic.agent', 'nestjs_task_storage.v1'];

/** Every definition, those of error details included: reflection shows them to clients. */
export const PROTO_PATHS = [
  'lybic/agent/agent.proto',
  'nestjs_task_storage/v1/task_service.proto',
  'google/rpc/status.proto',
  'google/rpc/error_details.proto',
].map((path) => protoFolder + path);

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
export function loadDefinitions(): PackageDefinition {
  return loadSync(PROTO_PATHS, LOADER_OPTIONS);
}
