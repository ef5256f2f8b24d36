import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PortSecurityOptions } from '../../src/agent/index.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { ServiceClient, statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { certificatePath, ServiceCertificate, tlsClient } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { ManualClock } from '../support/manual-clock.js';
import { bearer, TokensFile } from '../support/tokens-file.js';

/** More than the service takes to look at its files again. */
const LATER_MS = 5_000;

describe('A port with TLS', () => {
  let files: ServiceCertificate;
  let clock: ManualClock;
  let service: AgentService;
  let clients: ServiceClient[];

  beforeEach(async () => {
    files = await ServiceCertificate.create();
    clock = new ManualClock();
    clients = [];
  });

  afterEach(async () => {
    clients.forEach((client) => client.close());
    await service.close();
    await files.remove();
  });

  async function start(clientCaFile?: string, options: PortSecurityOptions = {}): Promise<void> {
    const { certFile, keyFile } = files;
    const port = { tls: { certFile, keyFile, clientCaFile }, clock, ...options };
    service = await startAgentService(createMemoryTaskStorage(), null, { port });
  }

  function agentOf(channelCredentials = tlsClient()): ServiceClient {
    const client = new ServiceClient('lybic.agent.Agent', service.address, channelCredentials);
    clients.push(client);
    return client;
  }

  /** Whose certificate a new connection is shown. */
  async function shownName(): Promise<string | undefined> {
    const [host, port] = service.address.split(':');
    const socket = connect({
      host,
      port: Number(port),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return typeof name === 'string' ? name : undefined;
  }

  it('serves who trusts its authority, and nobody in plain text', async () => {
    await start();
    expect(await agentOf().call('GetAgentInfo')).toHaveProperty('version');
    expect(await statusOf(service.agent.call('GetAgentInfo'))).toMatchObject({ code: 14 });
  });

  it('serves only clients of its authority where it has one', async () => {
    await start(certificatePath('ca.crt'));
    expect(await agentOf(tlsClient('client')).call('GetAgentInfo')).toHaveProperty('version');
    for (const stranger of [tlsClient(), tlsClient('stranger')]) {
      const refused = await statusOf(agentOf(stranger).call('GetAgentInfo'));
      expect(refused).toMatchObject({ code: 14 });
    }
  });

  it('asks a client with a certificate for its token too', async () => {
    const tokens = await TokensFile.create([{ token: 't', tenant: 'acme', role: 'read' }]);
    await start(certificatePath('ca.crt'), { auth: { tokensFile: tokens.path } });
    const agent = agentOf(tlsClient('client'));
    expect(await statusOf(agent.call('GetAgentInfo'))).toMatchObject({ code: 16 });
    expect(await agent.call('GetAgentInfo', {}, bearer('t'))).toHaveProperty('version');
    await tokens.remove();
  });

  it.each([
    ['written', async () => files.write('renewed')],
    ['exchanged as links', async () => files.link('renewed')],
  ])(
    'shows a new certificate when its files were %s, and keeps its connections',
    async (_how, renew) => {
      await start();
      const before = agentOf();
      await before.call('GetAgentInfo');
      expect(await shownName()).toBe('server');
      await renew();
      await clock.advance(LATER_MS);
      await eventually(shownName, (name) => name === 'renewed');
      expect(await before.call('GetAgentInfo')).toHaveProperty('version');
      expect(await agentOf().call('GetAgentInfo')).toHaveProperty('version');
    },
  );

  it.each([
    ['holds no certificate', async () => files.writeText('nothing'), 'GRPC_TLS_CERT'],
    ['is gone', async () => rm(files.certFile), 'GRPC_TLS_CERT'],
    [
      'does not belong to the key',
      async () => files.writeText(await readCertificate('renewed')),
      'GRPC_TLS_KEY',
    ],
  ])(
    'keeps its certificate when the new one %s, and says so once',
    async (_what, spoil, option) => {
      await start();
      await spoil();
      for (let checks = 0; checks < 3; checks += 1) {
        await clock.advance(LATER_MS);
        await clock.hasTimer();
      }
      const errors = await eventually(
        () => service.logger.messages('error'),
        (messages) => messages.length > 0,
      );
      expect(errors).toEqual([expect.stringContaining(option)]);
      expect(errors[0]).toContain('What was read before stays in use');
      expect(await shownName()).toBe('server');
      expect(await agentOf().call('GetAgentInfo')).toHaveProperty('version');
      await files.write('renewed');
      await eventually(
        async () => {
          await clock.advance(LATER_MS);
          return shownName();
        },
        (name) => name === 'renewed',
      );
    },
  );
});

async function readCertificate(holder: string): Promise<string> {
  return readFile(certificatePath(`${holder}.crt`), 'utf8');
}
