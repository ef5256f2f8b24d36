/* Exits 0 when the service in this container says SERVING, else 1: the image's health check. */
import { readFileSync } from 'node:fs';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

const ANSWER_WITHIN_MS = 2_000;

const { grpc } = loadPackageDefinition(loadSync(protoPath, { enums: String }));
const { GRPC_HOST, GRPC_PORT, GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CLIENT_CA } = process.env;
const client = new grpc.health.v1.Health(
  `${hostOf(GRPC_HOST)}:${GRPC_PORT || '50051'}`,
  GRPC_TLS_CERT ? tlsCredentials() : credentials.createInsecure(),
);
client.Check({ service: '' }, { deadline: Date.now() + ANSWER_WITHIN_MS }, (error, answer) => {
  if (error) {
    console.error(error.message);
  }
  process.exit(answer?.status === 'SERVING' ? 0 : 1);
});

/** All addresses are no address to call, and an IPv6 address needs brackets. */
function hostOf(listeningHost) {
  const host = (listeningHost ?? '').replace(/^\[(.*)\]$/, '$1');
  if (host === '' || host === '0.0.0.0') {
    return '127.0.0.1';
  }
  if (host === '::') {
    return '[::1]';
  }
  return host.includes(':') ? `[${host}]` : host;
}

/** Inside the container nobody else can answer, and the certificate is for names outside of it. */
function tlsCredentials() {
  const ownPair = GRPC_TLS_CLIENT_CA
    ? [readFileSync(GRPC_TLS_KEY), readFileSync(GRPC_TLS_CERT)]
    : [null, null];
  return credentials.createSsl(null, ...ownPair, { rejectUnauthorized: false });
}
