import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createAgentGrpcOptions,
  readPortSecurity,
  type AgentGrpcOptions,
} from '../../src/agent/index.js';
import { certificatePath } from '../support/certificates.js';
import { ManualClock } from '../support/manual-clock.js';
import { TokensFile } from '../support/tokens-file.js';

const CERT = certificatePath('server.crt');
const KEY = certificatePath('server.key');
const CLIENT_CA = certificatePath('ca.crt');

const TLS = { GRPC_TLS_CERT: CERT, GRPC_TLS_KEY: KEY };
const INSECURE = { GRPC_ALLOW_INSECURE: '1' };

describe('Who reaches the port', () => {
  let tokens: TokensFile;

  beforeEach(async () => {
    tokens = await TokensFile.create([]);
  });
  afterEach(async () => tokens.remove());

  function listen(url: string, variables: Record<string, string> = {}) {
    const security = readPortSecurity(new Map(Object.entries(variables)));
    createAgentGrpcOptions({ url, ...security, clock: new ManualClock() });
  }

  it.each([
    '127.0.0.1:1',
    '127.8.9.10:1',
    'localhost:1',
    '[::1]:1',
    '[::ffff:127.0.0.1]:1',
    'unix:/run/agent.sock',
  ])('is left to this machine at %s', (url) => {
    expect(() => listen(url)).not.toThrow();
  });

  it.each([
    '0.0.0.0:1',
    '[::]:1',
    '192.168.1.7:1',
    'agent.internal:1',
    'localhost.evil.com:1',
    '[::ffff:10.0.0.1]:1',
  ])('is everybody at %s, unless they are asked who they are', (url) => {
    const withTokens = { GRPC_AUTH_TOKENS_FILE: tokens.path };
    const letsEverybodyIn =
      /^The service would listen on .* and let everybody in; write 127\.0\.0\.1, or set .*GRPC_ALLOW_INSECURE=1/;
    expect(() => listen(url)).toThrow(letsEverybodyIn);
    expect(() => listen(url, TLS)).toThrow(letsEverybodyIn);
    expect(() => listen(url, withTokens)).toThrow(
      /where tokens would travel unencrypted; set GRPC_TLS_CERT and GRPC_TLS_KEY, or GRPC_ALLOW_INSECURE=1/,
    );
    expect(() => listen(url, { ...TLS, ...withTokens })).not.toThrow();
    expect(() => listen(url, { ...TLS, GRPC_TLS_CLIENT_CA: CLIENT_CA })).not.toThrow();
    expect(() => listen(url, INSECURE)).not.toThrow();
    expect(() => listen(url, { ...INSECURE, ...withTokens })).not.toThrow();
  });

  it('is told from credentials of the application itself', () => {
    const own = { credentials: ServerCredentials.createInsecure() };
    const url = '127.0.0.1:1';
    expect(() => createAgentGrpcOptions({ url, server: own })).not.toThrow();
    const tls = { certFile: CERT, keyFile: KEY };
    expect(() => createAgentGrpcOptions({ url, tls, server: own })).toThrow(/are both set/);
  });

  it.each([0, -1, 0.5, NaN, Infinity])('cannot make %p calls in a second', (callsPerSecond) => {
    const auth = { tokensFile: tokens.path, callsPerSecond };
    const listenWith = () =>
      createAgentGrpcOptions({ url: '127.0.0.1:1', auth, clock: new ManualClock() });
    expect(listenWith).toThrow(/^callsPerSecond is .*; write a whole number from 1 to 1000000$/);
  });

  it('is no longer followed in files when the port cannot be opened', async () => {
    const clock = new ManualClock();
    const tls = { certFile: CERT, keyFile: KEY };
    await tokens.writeText('nothing');
    const auth = { tokensFile: tokens.path };
    expect(() => createAgentGrpcOptions({ url: '127.0.0.1:1', tls, auth, clock })).toThrow(
      /^GRPC_AUTH_TOKENS_FILE/,
    );
    expect(clock.timerCount).toBe(0);
  });

  it('is everybody where the credentials of the application encrypt nothing, or may ask nobody', () => {
    const url = '0.0.0.0:1';
    const auth = { tokensFile: tokens.path };
    const clock = new ManualClock();
    const insecure = { credentials: ServerCredentials.createInsecure() };
    const pair = { cert_chain: readFileSync(CERT), private_key: readFileSync(KEY) };
    const secure = { credentials: ServerCredentials.createSsl(null, [pair]) };
    const unknown =
      /server\.credentials that .*; write tls and auth instead, or allowInsecure: true/;
    const listenWith = (options: Partial<AgentGrpcOptions>) =>
      createAgentGrpcOptions({ url, clock, ...options });
    expect(() => listenWith({ auth, server: insecure })).toThrow(unknown);
    expect(() => listenWith({ server: secure })).toThrow(unknown);
    expect(() => listenWith({ auth, server: { credentials: null } })).toThrow(/GRPC_TLS_CERT/);
    expect(() => listenWith({ auth, server: secure })).not.toThrow();
    expect(() => listenWith({ allowInsecure: true, server: secure })).not.toThrow();
    const tls = { certFile: CERT, keyFile: KEY };
    expect(() => listenWith({ auth, tls, server: { credentials: null } })).not.toThrow();
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['no key', { GRPC_TLS_CERT: CERT }, /^GRPC_TLS_KEY is not set, and TLS needs it; write/],
    ['no certificate', { GRPC_TLS_KEY: KEY }, /^GRPC_TLS_CERT is not set/],
    ['only authorities', { GRPC_TLS_CLIENT_CA: CLIENT_CA }, /^GRPC_TLS_CERT is not set/],
    [
      'a file that is not there',
      { ...TLS, GRPC_TLS_KEY: '/nowhere' },
      /^GRPC_TLS_KEY is "\/nowhere", which cannot be read; write/,
    ],
    [
      'a certificate that is none',
      { ...TLS, GRPC_TLS_CERT: KEY },
      /^GRPC_TLS_CERT names a file that holds no certificate/,
    ],
    [
      'a key that is none',
      { ...TLS, GRPC_TLS_KEY: CERT },
      /^GRPC_TLS_KEY names a file that holds no private key/,
    ],
    [
      'a key of another certificate',
      { ...TLS, GRPC_TLS_KEY: certificatePath('client.key') },
      /^GRPC_TLS_KEY does not belong to the certificate of GRPC_TLS_CERT; write/,
    ],
    [
      'authorities that are none',
      { ...TLS, GRPC_TLS_CLIENT_CA: KEY },
      /^GRPC_TLS_CLIENT_CA names a file that holds no certificate/,
    ],
    [
      'no file of tokens',
      { GRPC_AUTH_TOKENS_FILE: '/nowhere' },
      /^GRPC_AUTH_TOKENS_FILE is "\/nowhere", which cannot be read/,
    ],
    [
      'a limit without tokens',
      { GRPC_RATE_LIMIT_PER_SECOND: '5' },
      /^GRPC_RATE_LIMIT_PER_SECOND is 5, and limits the calls of tokens; set GRPC_AUTH_TOKENS_FILE/,
    ],
    [
      'a limit of nothing',
      { GRPC_RATE_LIMIT_PER_SECOND: '0' },
      /^GRPC_RATE_LIMIT_PER_SECOND is "0"; write a whole number from 1/,
    ],
  ])('is not served with %s, and one sentence says so', (_what, variables, sentence) => {
    expect(() => listen('127.0.0.1:1', variables)).toThrow(sentence);
  });

  it('is not served with a broken certificate in a chain', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chain-'));
    const chain = join(folder, 'chain.crt');
    await copyFile(CERT, chain);
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    await writeFile(chain, broken, { flag: 'a' });
    expect(() => listen('127.0.0.1:1', { ...TLS, GRPC_TLS_CERT: chain })).toThrow(/^GRPC_TLS_CERT/);
    await rm(folder, { recursive: true });
  });
});
