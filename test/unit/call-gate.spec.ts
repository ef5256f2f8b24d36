import { Metadata, status, type ServerInterceptor } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { AccessTokens, type TokenHolder } from '../../src/agent/auth/access-tokens.js';
import { CallGate } from '../../src/agent/auth/call-gate.js';
import { callerOf } from '../../src/agent/auth/callers.js';
import { tokenHashOf } from '../support/tokens-file.js';

type NextCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<NextCall['start']>[0];

const HOLDER: TokenHolder = { tokenHash: tokenHashOf('mine'), tenantId: 'acme', role: 'run' };

/** What the gate lets through to a call of grpc-js. */
class Call {
  readonly sent: unknown[] = [];
  listener: Listener | null = null;

  start(listener: Listener): void {
    this.listener = listener;
  }
  sendMetadata(): void {}
  sendMessage(message: unknown): void {
    this.sent.push(message);
  }
  sendStatus({ code }: { code: number }): void {
    this.sent.push(code);
  }
}

describe('CallGate', () => {
  let change: (tokens: AccessTokens) => void;
  let gate: CallGate;
  let close: () => void;
  let call: Call;
  let metadata: Metadata;
  let received: Metadata[];

  beforeEach(() => {
    const tokens = {
      value: new AccessTokens([HOLDER]),
      onChange: (listener: (tokens: AccessTokens) => void) => {
        change = listener;
      },
    };
    gate = new CallGate(tokens, null);
    close = () => gate.close();
    call = new Call();
    metadata = new Metadata();
    metadata.set('authorization', 'Bearer mine');
    received = [];
  });

  afterEach(() => close());

  function open(path: string) {
    const definition = { path, requestStream: false, responseStream: true };
    const intercepting = gate.intercept(
      definition as Parameters<ServerInterceptor>[0],
      call as unknown as NextCall,
    );
    intercepting.start({
      onReceiveMetadata: (given) => received.push(given),
      onReceiveMessage: () => undefined,
      onReceiveHalfClose: () => undefined,
      onCancel: () => undefined,
    });
    call.listener?.onReceiveMetadata(metadata);
    return intercepting;
  }

  it('hands the very metadata on, by which the controller finds the caller', () => {
    open('/lybic.agent.Agent/GetAgentTaskStream');
    expect(received[0]).toBe(metadata);
    expect(callerOf(metadata)).toMatchObject({ tenantId: 'acme' });
  });

  it('is one with the controllers of another copy of the package', async () => {
    open('/lybic.agent.Agent/GetAgentTaskStream');
    jest.resetModules();
    const copy = await import('../../src/agent/auth/callers.js');
    expect(copy.callerOf).not.toBe(callerOf);
    expect(copy.callerOf(metadata)).toMatchObject({ tenantId: 'acme' });
    expect(() => copy.callerOf(metadata.clone())).toThrow(/caller of a call is unknown/);
  });

  it('lets everybody be everybody again when the last of its ports is closed', () => {
    const other = new CallGate({ value: new AccessTokens([]), onChange: () => undefined }, null);
    close();
    close = () => undefined;
    expect(() => callerOf(undefined)).toThrow(/caller of a call is unknown/);
    other.close();
    expect(callerOf(undefined)).toEqual({ tenantId: null });
  });

  it('lets nobody be everybody whose metadata was exchanged for another', () => {
    expect(() => callerOf(metadata.clone())).toThrow(/caller of a call is unknown/);
    expect(() => callerOf(undefined)).toThrow(/caller of a call is unknown/);
  });

  it('sends nothing more on a stream that it has ended', () => {
    const intercepting = open('/lybic.agent.Agent/GetAgentTaskStream');
    intercepting.sendMessage('first', () => undefined);
    change(new AccessTokens([]));
    intercepting.sendMessage('second', () => undefined);
    expect(call.sent).toEqual(['first', status.UNAUTHENTICATED]);
  });

  it('forgets a stream that has ended by itself', () => {
    open('/lybic.agent.Agent/GetAgentTaskStream');
    call.listener?.onCancel();
    change(new AccessTokens([]));
    expect(call.sent).toEqual([]);
  });
});
