import { fileURLToPath } from 'node:url';
import {
  credentials,
  loadPackageDefinition,
  Metadata,
  type Client,
  type CallOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';

/* Clients as a stranger makes them: from the definitions, knowing nothing of the service's code. */

const folder = fileURLToPath(new URL('../../src/agent/proto/', import.meta.url));

/** Every definition that these clients know, by its full name. */
export const definitions = loadSync(
  [
    'lybic/agent/agent.proto',
    'nestjs_task_storage/v1/task_service.proto',
    'google/rpc/status.proto',
    'google/rpc/error_details.proto',
  ],
  {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: false,
    includeDirs: [folder],
  },
);

interface Timestamp {
  seconds: string;
  nanos: number;
}

/** What tests read of answers; each answer has the fields of its own definition only. */
export interface Message {
  taskId: string;
  status: string;
  stage: string;
  message: string;
  timestamp: Timestamp;
  taskStream: Message;
  id: string;
  version: string;
  domain: string;
  stageModelConfig: Record<string, object>;
  task_id: string;
  sequence: number;
  tasks: Message[];
  next_page_token: string;
  unreadable_tasks: { task_id: string; reason: string }[];
  create_time: Timestamp;
  update_time: Timestamp;
  start_time: Timestamp;
  finish_time: Timestamp;
  execution_statistics_json: string;
  sandbox_info_json: string;
  request_data_json: string;
  conversation_history_json: string;
}

/** Metadata that a client sends; of an array each value. */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** What an ErrorInfo says, and the code of the Status around it. */
export interface ErrorInfo {
  code: number;
  reason: string;
  domain: string;
  metadata: Record<string, string>;
}

/** A streaming call whose messages are kept. */
export interface OpenStream {
  readonly messages: Message[];
  /** Resolves with the next message that has not been taken yet. */
  next(): Promise<Message>;
  /** Resolves with all messages when the server ends the call; rejects with its status. */
  readonly ended: Promise<Message[]>;
  readonly call: ClientReadableStream<Message>;
}

/** A call that can be cancelled. */
export interface BegunCall {
  readonly answer: Promise<Message>;
  readonly cancel: () => void;
}

/** A client of one service. */
export class ServiceClient {
  readonly #client: Client;

  constructor(
    serviceName: string,
    address: string,
    channelCredentials = credentials.createInsecure(),
  ) {
    const constructors = loadPackageDefinition(definitions);
    const path = serviceName.split('.');
    const found: unknown = path.reduce<unknown>(
      (at, name) => (at as Record<string, unknown>)[name],
      constructors,
    );
    this.#client = new (found as ServiceClientConstructor)(address, channelCredentials);
  }

  async call(method: string, request: object = {}, headers: Headers = {}): Promise<Message> {
    return this.begin(method, request, headers).answer;
  }

  begin(
    method: string,
    request: object = {},
    headers: Headers = {},
    options: CallOptions = {},
  ): BegunCall {
    const unary = Reflect.get(this.#client, method) as (
      request: object,
      metadata: Metadata,
      options: CallOptions,
      callback: (error: ServiceError | null, answer: Message) => void,
    ) => ClientUnaryCall;
    let cancel = (): void => undefined;
    const answer = new Promise<Message>((resolve, reject) => {
      const call = unary.call(
        this.#client,
        request,
        metadataOf(headers),
        options,
        (error, message) => (error === null ? resolve(message) : reject(error)),
      );
      cancel = () => call.cancel();
    });
    return { answer, cancel };
  }

  stream(method: string, request: object = {}, headers: Headers = {}): OpenStream {
    const open = Reflect.get(this.#client, method) as (
      request: object,
      metadata: Metadata,
    ) => ClientReadableStream<Message>;
    const call = open.call(this.#client, request, metadataOf(headers));
    const messages: Message[] = [];
    let taken = 0;
    let changed = (): void => undefined;
    let failure: unknown = null;
    call.on('data', (message: Message) => {
      messages.push(message);
      changed();
    });
    const ended = new Promise<Message[]>((resolve, reject) => {
      call.on('end', () => resolve(messages));
      call.on('error', (error) => {
        failure = error;
        changed();
        reject(error);
      });
    });
    ended.catch(() => undefined);
    const next = async (): Promise<Message> => {
      for (;;) {
        const message = messages[taken];
        if (message !== undefined) {
          taken += 1;
          return message;
        }
        if (failure !== null) {
          throw failure;
        }
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
    };
    return { messages, next, ended, call };
  }

  close(): void {
    this.#client.close();
  }
}

/** The status that a call failed with; fails when it did not. */
export async function statusOf(call: Promise<unknown>): Promise<ServiceError> {
  const answer = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in answer) {
    return answer.error as ServiceError;
  }
  throw new Error(`The call did not fail: ${JSON.stringify(answer.value)}`);
}

/** The ErrorInfo in the trailers of a failed call, decoded by the public definitions. */
export function errorInfoOf(error: ServiceError): ErrorInfo {
  const info = detailsOf(error)['google.rpc.ErrorInfo'] as Omit<ErrorInfo, 'code'>;
  return { ...info, code: statusIn(error).code };
}

/** Every detail of a failed call, by the name of its type. */
export function detailsOf(error: ServiceError): Record<string, object> {
  return Object.fromEntries(
    statusIn(error).details.map(({ type_url, value }) => {
      const name = type_url.replace('type.googleapis.com/', '');
      return [name, decode(name, value)];
    }),
  );
}

function statusIn(error: ServiceError) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return decode('google.rpc.Status', bytes as Buffer) as {
    code: number;
    details: { type_url: string; value: Buffer }[];
  };
}

/** Makes metadata of headers. */
export function metadataOf(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [name, values] of Object.entries(headers)) {
    [values].flat().forEach((value) => metadata.add(name, value));
  }
  return metadata;
}

function decode(name: string, bytes: Buffer): object {
  return (definitions[name] as MessageTypeDefinition<object, object>).deserialize(bytes);
}
