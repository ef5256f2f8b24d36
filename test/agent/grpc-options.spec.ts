import { createRequire } from 'node:module';
import {
  credentials,
  loadPackageDefinition,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
} from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { HealthImplementation } from 'grpc-health-check';
import { AgentModule, createAgentGrpcOptions } from '../../src/agent/index.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { findFreePort } from '../support/embedded-postgres.js';
import { globalStorage } from '../support/global-storage.js';
import { HealthClient } from '../support/health-client.js';
import { RecordingLogger } from '../support/recording-logger.js';

const require = createRequire(import.meta.url);

interface ReflectionAnswer {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
}

interface ReflectionClient extends Client {
  ServerReflectionInfo(): ClientDuplexStream<object, ReflectionAnswer>;
}

type ReflectionVersion = 'v1' | 'v1alpha';

interface ReflectionDefinitions {
  grpc: {
    reflection: Record<
      ReflectionVersion,
      {
        ServerReflection: new (
          address: string,
          credentials: ChannelCredentials,
        ) => ReflectionClient;
      }
    >;
  };
}

interface ReflectedFile {
  name: string;
  dependency?: string[];
}

const descriptorDefinitions = loadSync('google/protobuf/descriptor.proto');

function decodeFile(bytes: Buffer): ReflectedFile {
  const type = descriptorDefinitions['google.protobuf.FileDescriptorProto'];
  return (type as MessageTypeDefinition<object, ReflectedFile>).deserialize(bytes);
}

function reflectionClient(version: ReflectionVersion, address: string): ReflectionClient {
  const path = `@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`;
  const definitions: unknown = loadPackageDefinition(loadSync(require.resolve(path)));
  const { ServerReflection } = (definitions as ReflectionDefinitions).grpc.reflection[version];
  return new ServerReflection(address, credentials.createInsecure());
}

describe('createAgentGrpcOptions', () => {
  let address: string;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    address = `127.0.0.1:${await findFreePort()}`;
    const module = await Test.createTestingModule({
      imports: [globalStorage(createMemoryTaskStorage()), AgentModule.forRoot()],
    })
      .setLogger(new RecordingLogger())
      .compile();
    const health = new HealthImplementation({ '': 'SERVING' });
    const app = module.createNestMicroservice(
      createAgentGrpcOptions({
        url: address,
        services: [(server) => health.addToServer(server)],
      }),
    );
    await app.listen();
    stop = async () => app.close();
  });

  afterAll(async () => stop());

  it.each(['v1', 'v1alpha'] as const)('serves reflection %s', async (version) => {
    const client = reflectionClient(version, address);
    const call = client.ServerReflectionInfo();
    const ask = async (request: object): Promise<ReflectionAnswer> =>
      new Promise((resolve, reject) => {
        call.once('data', resolve);
        call.once('error', reject);
        call.write(request);
      });
    const { listServicesResponse } = await ask({ listServices: '' });
    expect(listServicesResponse?.service.map(({ name }) => name).toSorted()).toEqual([
      'lybic.agent.Agent',
      'nestjs_task_storage.v1.TaskService',
    ]);
    for (const symbol of ['lybic.agent.Agent', 'nestjs_task_storage.v1.TaskService']) {
      const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
      const files = fileDescriptorResponse?.fileDescriptorProto.map(decodeFile) ?? [];
      const imported = 'google_protobuf.proto';
      expect(files.find(({ name }) => name === imported)?.dependency).toBeUndefined();
      expect(files.find(({ name }) => name !== imported)?.dependency).toEqual([imported]);
    }
    call.end();
    client.close();
  });

  it('serves what else is added to the server', async () => {
    const client = new HealthClient(address);
    expect(await client.check('')).toBe('SERVING');
    client.close();
  });
});
