import { describe, expect, it } from '@jest/globals';
import { addressOf } from '../../src/grpc-port.js';

describe('The address of the port', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1:50051'],
    ['agent.internal', 'agent.internal:50051'],
    ['::1', '[::1]:50051'],
    ['[::1]', '[::1]:50051'],
  ])('is, with GRPC_HOST %s, %s', (host, address) => {
    expect(addressOf({ GRPC_HOST: host, GRPC_PORT: 50_051 })).toBe(address);
  });
});
