/* Exits 0 when the service in this container says SERVING, else 1: the image's health check. */
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

const ANSWER_WITHIN_MS = 2_000;

const { grpc } = loadPackageDefinition(loadSync(protoPath, { enums: String }));
const { GRPC_HOST, GRPC_PORT } = process.env;
const host = !GRPC_HOST || GRPC_HOST === '0.0.0.0' ? '127.0.0.1' : GRPC_HOST;
const client = new grpc.health.v1.Health(
  `${host}:${GRPC_PORT || '50051'}`,
  credentials.createInsecure(),
);
client.Check({ service: '' }, { deadline: Date.now() + ANSWER_WITHIN_MS }, (error, answer) => {
  if (error) {
    console.error(error.message);
  }
  process.exit(answer?.status === 'SERVING' ? 0 : 1);
});
