import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';
import { z } from 'zod';

/** How a value is laid out on the wire: varint, 64 bits, with a length, a group's two ends, 32 bits. */
export type WireType = 0 | 1 | 2 | 3 | 4 | 5;

/** What a field holds, as far as a check has to know. */
export type ScalarKind = 'text' | 'bytes' | 'int32' | 'uint32' | 'bool' | 'other';

/** One field of a message. */
export interface FieldShape {
  readonly name: string;
  readonly wireType: WireType;
  readonly kind: ScalarKind;
  readonly isRepeated: boolean;
  /** The fields of a nested message; `null` for any other field. */
  readonly message: MessageShape | null;
}

/** The fields of a message by their numbers. */
export type MessageShape = ReadonlyMap<number, FieldShape>;

const VARINT: WireType = 0;
const DELIMITED: WireType = 2;

/** https://protobuf.dev/programming-guides/encoding/#structure */
const SCALARS: Readonly<Record<string, readonly [WireType, ScalarKind]>> = {
  TYPE_STRING: [DELIMITED, 'text'],
  TYPE_BYTES: [DELIMITED, 'bytes'],
  TYPE_MESSAGE: [DELIMITED, 'other'],
  TYPE_INT32: [VARINT, 'int32'],
  TYPE_ENUM: [VARINT, 'int32'],
  TYPE_UINT32: [VARINT, 'uint32'],
  TYPE_SINT32: [VARINT, 'uint32'],
  TYPE_INT64: [VARINT, 'other'],
  TYPE_UINT64: [VARINT, 'other'],
  TYPE_SINT64: [VARINT, 'other'],
  TYPE_BOOL: [VARINT, 'bool'],
  TYPE_DOUBLE: [1, 'other'],
  TYPE_FIXED64: [1, 'other'],
  TYPE_SFIXED64: [1, 'other'],
  TYPE_FLOAT: [5, 'other'],
  TYPE_FIXED32: [5, 'other'],
  TYPE_SFIXED32: [5, 'other'],
};

/** What is read of google.protobuf.DescriptorProto. */
const descriptorSchema = z.object({
  name: z.string(),
  field: z.array(
    z.object({
      name: z.string(),
      number: z.int(),
      label: z.string(),
      type: z.string(),
      typeName: z.string(),
    }),
  ),
});

/** Finds the shapes of messages in definitions, each once. */
export class MessageShapes {
  readonly #shapes = new Map<string, Map<number, FieldShape>>();

  constructor(private readonly definitions: PackageDefinition) {}

  /**
   * @param scope the full name of what refers to the message, such as its service
   * @throws {Error} when the definitions have no such message
   */
  of(definition: MessageTypeDefinition<object, object>, scope: string): MessageShape {
    return this.#named(descriptorSchema.parse(definition.type).name, scope);
  }

  /** Resolves a name as protobuf does: from the innermost scope outwards. */
  #named(name: string, scope: string): MessageShape {
    const scopes = name.startsWith('.') ? [] : scope.split('.');
    for (let depth = scopes.length; depth >= 0; depth -= 1) {
      const fullName = [...scopes.slice(0, depth), name.replace(/^\./, '')].join('.');
      const definition = this.definitions[fullName];
      if (definition !== undefined && 'format' in definition) {
        return this.#shapes.get(fullName) ?? this.#build(fullName, definition.type);
      }
    }
    throw new Error(`The definitions have no message ${name} in ${scope}`);
  }

  #build(fullName: string, descriptor: object): MessageShape {
    const shape = new Map<number, FieldShape>();
    // Before its fields, because a message may hold itself.
    this.#shapes.set(fullName, shape);
    for (const { name, number, label, type, typeName } of descriptorSchema.parse(descriptor)
      .field) {
      const scalar = SCALARS[type];
      if (scalar === undefined) {
        throw new Error(`${fullName}.${name} has the type ${type}, which nothing is known of`);
      }
      const [wireType, kind] = scalar;
      const message = type === 'TYPE_MESSAGE' ? this.#named(typeName, fullName) : null;
      shape.set(number, { name, wireType, kind, isRepeated: label === 'LABEL_REPEATED', message });
    }
    return shape;
  }
}
