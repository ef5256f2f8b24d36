import type { PackageDefinition } from '@grpc/proto-loader';

/** The file in which the loader gathers Google's well-known types, which every other one imports. */
const WELL_KNOWN_TYPES = 'google_protobuf.proto';

/** The tag of a field of google.protobuf.FileDescriptorProto that holds text of some length. */
const NAME_TAG = (1 << 3) | 2;
const DEPENDENCY_TAG = (3 << 3) | 2;

/** As written by the loader: the name comes first, and is shorter than 128 bytes. */
function fileNameOf(descriptor: Buffer): string | null {
  const [tag, length = 0] = descriptor;
  return tag === NAME_TAG ? descriptor.toString('utf8', 2, 2 + length) : null;
}

/** Protobuf messages may be continued: what is appended is read as if it had been there. */
function withImport(descriptor: Buffer): Buffer {
  const name = Buffer.from(WELL_KNOWN_TYPES);
  return Buffer.concat([descriptor, Buffer.from([DEPENDENCY_TAG, name.length]), name]);
}

/**
 * Copies definitions for reflection. The loader leaves out which file imports which, without which
 * strict clients such as grpcurl resolve none of the services:
 * https://github.com/grpc/grpc-node/issues/2595
 */
export function withImports(definitions: PackageDefinition): PackageDefinition {
  return Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => {
      const { fileDescriptorProtos } = definition;
      return Array.isArray(fileDescriptorProtos)
        ? [name, { ...definition, fileDescriptorProtos: fileDescriptorProtos.map(importing) }]
        : [name, definition];
    }),
  );
}

function importing(descriptor: Buffer): Buffer {
  return fileNameOf(descriptor) === WELL_KNOWN_TYPES ? descriptor : withImport(descriptor);
}
