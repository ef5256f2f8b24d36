import { fileURLToPath } from 'node:url';
import {
  loadSync,
  type MessageTypeDefinition,
  type MethodDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';

/*
 * The fields of the requests of both services, read from the definitions: one that is added to them is
 * tried without anybody thinking of it. The bytes are written here, because an encoder of protobuf
 * writes nothing that is malformed.
 */

const definitions = loadSync(
  ['lybic/agent/agent.proto', 'nestjs_task_storage/v1/task_service.proto'],
  {
    keepCase: true,
    longs: String,
    enums: String,
    includeDirs: [fileURLToPath(new URL('../../src/agent/proto/', import.meta.url))],
  },
);

export type Method = MethodDefinition<object, object>;

/** A field at whatever depth of a request. */
export interface WireField {
  /** From the outermost message to the field itself. */
  readonly path: readonly { readonly name: string; readonly number: number }[];
  readonly type: string;
  readonly isRepeated: boolean;
  /** From number to name, of an enum. */
  readonly enumNames: ReadonlyMap<number, string>;
}

interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}

interface EnumDescriptor {
  readonly value: readonly { readonly name: string; readonly number: number }[];
}

const services = ['lybic.agent.Agent', 'nestjs_task_storage.v1.TaskService'];

/** Every RPC of both services. */
export const allMethods: readonly Method[] = services.flatMap((name) =>
  Object.values(definitions[name] as ServiceDefinition),
);

function typeNamed(typeName: string, packageName: string): object {
  const found = definitions[typeName] ?? definitions[`${packageName}.${typeName}`];
  return (found as MessageTypeDefinition<object, object>).type;
}

function fieldsWithin(
  descriptor: object,
  packageName: string,
  path: WireField['path'],
): WireField[] {
  const { field: fields } = descriptor as { field: readonly FieldDescriptor[] };
  return fields.flatMap((field) => {
    const { name, number, label, type, typeName } = field;
    const own: WireField = {
      path: [...path, { name, number }],
      type,
      isRepeated: label === 'LABEL_REPEATED',
      enumNames:
        type === 'TYPE_ENUM'
          ? new Map(
              (typeNamed(typeName, packageName) as EnumDescriptor).value.map((value) => [
                value.number,
                value.name,
              ]),
            )
          : new Map(),
    };
    return type === 'TYPE_MESSAGE'
      ? [own, ...fieldsWithin(typeNamed(typeName, packageName), packageName, own.path)]
      : [own];
  });
}

/** @returns the fields of the method's request, those of nested messages too */
export function requestFieldsOf(method: Method): WireField[] {
  const packageName = (method.path.split('/')[1] ?? '').split('.').slice(0, -1).join('.');
  return fieldsWithin(method.requestType.type, packageName, []);
}

export function pathOf(field: WireField): string {
  return field.path.map(({ name }) => name).join('.');
}

export function nameOf(method: Method): string {
  return method.path.split('/')[2] ?? '';
}

export function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

export function tag(number: number, wireType: number): Buffer {
  return varint(BigInt(number * 8 + wireType));
}

export function delimited(number: number, content: Buffer): Buffer {
  return Buffer.concat([tag(number, 2), varint(BigInt(content.length)), content]);
}

/** Writes a request that has this one field. @param encode makes the field, its tag included */
export function requestWith(field: WireField, encode: (number: number) => Buffer): Buffer {
  const [own, ...around] = field.path.toReversed();
  return around.reduce(
    (content, { number }) => delimited(number, content),
    encode(own?.number ?? 0),
  );
}
