import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import {
  toCommonConfig,
  toQueryTaskStatusResponse,
  toTaskStream,
} from '../../src/agent/wire/agent-responses.js';
import { commonConfigSchema, overGlobalConfig } from '../../src/agent/wire/common-config.js';
import { maskApiKeys, maskRequest, resolveMasks } from '../../src/agent/wire/secrets.js';
import { toTimestamp } from '../../src/agent/wire/timestamp.js';
import type { JsonObject } from '../../src/task/json.js';
import { TASK_STATUSES, type Task } from '../../src/task/task.js';

const MASK = '********';

const TASK: Task = {
  taskId: 'task',
  tenantId: 'default',
  status: 'running',
  query: 'q',
  maxSteps: 1,
  finalState: null,
  timestampDir: null,
  executionStatistics: null,
  sandboxInfo: null,
  requestData: null,
  conversationHistory: null,
  sealedRequest: null,
  result: null,
  error: null,
  leaseOwner: null,
  leaseExpiresAt: null,
  attempt: 0,
  maxAttempts: 1,
  queuedAt: null,
  version: 1,
  lastEventSequence: 0,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  startedAt: null,
  finishedAt: null,
};

describe('Answers about tasks', () => {
  it('say the status and the message that existing clients know', () => {
    const answers = TASK_STATUSES.map((status) => {
      const answer = toQueryTaskStatusResponse({
        ...TASK,
        status,
        finalState: 'ok',
        error: 'no space left',
      });
      return [answer.status, answer.message];
    });
    expect(answers).toEqual([
      ['PENDING', 'Task is running.'],
      ['RUNNING', 'Task is running.'],
      ['SUCCESS', 'Task finished with status: ok'],
      ['FAILURE', 'no space left'],
      ['CANCELLED', 'Task was cancelled by user request.'],
    ]);
  });

  it('say something of rows of the original service, which keeps no reason and no result', () => {
    expect(toQueryTaskStatusResponse({ ...TASK, status: 'finished' })).toMatchObject({
      message: 'Task finished with status: completed',
      result: '',
    });
    expect(
      toQueryTaskStatusResponse({ ...TASK, status: 'error', finalState: 'crashed' }).message,
    ).toBe('Task failed with status: crashed');
  });

  it('leave out what a runner stored in the place of a field', () => {
    const executionStatistics: JsonObject = {
      steps: 'many',
      duration_seconds: 12.6,
      input_tokens: 1e300,
      output_tokens: '9223372036854775808',
      total_tokens: [1],
      cost: null,
      currency_symbol: 7,
    };
    const sandboxInfo: JsonObject = { id: 5, os: 99, shape_name: {} };
    const answer = toQueryTaskStatusResponse({ ...TASK, executionStatistics, sandboxInfo });
    expect(answer.executionStatistics).toEqual({
      steps: 0,
      durationSeconds: 13,
      inputTokens: '0',
      outputTokens: '0',
      totalTokens: '0',
      cost: 0,
      currencySymbol: '',
    });
    expect(answer.sandbox).toEqual({ id: '', os: 'OSUNDEFINED', shapeName: '' });
  });

  it('survive whatever JSON is stored', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (stored) => {
        const json = stored as JsonObject;
        const answer = toQueryTaskStatusResponse({
          ...TASK,
          executionStatistics: json,
          sandboxInfo: json,
        });
        expect(answer.executionStatistics?.inputTokens).toMatch(/^-?\d+$/);
      }),
    );
  });

  it('carry the time of an event to the millisecond', () => {
    const times = [0, 1, 999, 1_795_404_905_697, -1, -1_001];
    for (const time of times) {
      const { seconds, nanos } = toTimestamp(new Date(time));
      expect(nanos).toBeGreaterThanOrEqual(0);
      expect(seconds * 1_000 + nanos / 1_000_000).toBe(time);
    }
    const event = { taskId: 'task', stage: 's', message: 'm', createdAt: new Date(1_500) };
    expect(toTaskStream({ ...event, sequence: 1, status: null })).toEqual({
      taskId: 'task',
      stage: 's',
      message: 'm',
      timestamp: { seconds: 1, nanos: 500_000_000 },
    });
  });

  it('refuse a stored configuration that is none', () => {
    const requestData = { runningConfig: { steps: 'seven' } };
    expect(() => toCommonConfig({ ...TASK, requestData })).toThrow('is not a configuration');
  });

  it('mask the keys of requests that the original service stored in clear', () => {
    const requestData = { runningConfig: { authorizationInfo: { apiKey: 'secret' } } };
    expect(toCommonConfig({ ...TASK, requestData })).toEqual({
      authorizationInfo: { apiKey: MASK },
    });
  });
});

describe('Masking', () => {
  const request: JsonObject = {
    instruction: 'apiKey',
    runningConfig: {
      authorizationInfo: { orgID: 'org', apiKey: 'secret' },
      stageModelConfig: { groundingModel: { apiKey: 'secret', modelName: 'm' } },
    },
    list: [{ apiKey: { nested: 'secret' } }],
  };

  it('leaves no secret of a request, whatever its shape', () => {
    expect(maskRequest(request)).toEqual({
      instruction: 'apiKey',
      runningConfig: {
        authorizationInfo: { orgID: MASK, apiKey: MASK },
        stageModelConfig: { groundingModel: { apiKey: MASK, modelName: 'm' } },
      },
      list: [{ apiKey: MASK }],
    });
  });

  it('changes nothing of what it is given', () => {
    const before = structuredClone(request);
    maskRequest(request);
    maskApiKeys(request);
    resolveMasks(request, () => null);
    expect(request).toEqual(before);
  });

  it('keeps organizations in the answers about configurations', () => {
    expect(maskApiKeys({ authorizationInfo: { orgID: 'org', apiKey: 'secret' } })).toEqual({
      authorizationInfo: { orgID: 'org', apiKey: MASK },
    });
  });

  it('keeps keys and drops masks of what goes to a runner', () => {
    const config: JsonObject = {
      a: { apiKey: MASK },
      b: { apiKey: 'secret', orgID: MASK },
      c: { apiKey: MASK, orgID: 'org' },
    };
    const findKey = (_holder: JsonObject, path: string) => (path === 'c' ? 'known' : null);
    expect(resolveMasks(config, findKey)).toEqual({
      a: {},
      b: { apiKey: 'secret' },
      c: { apiKey: 'known', orgID: 'org' },
    });
  });

  it.each([
    ['https://user:pass@host:8080/v1', `https://${MASK}@host:8080/v1`],
    ['user:p@ss@host/v1', `${MASK}@host/v1`],
    ['https://host/v1?api_key=secret&v=2#top', `https://host/v1?api_key=${MASK}&v=2#top`],
    ['https://host/v1?v=2&access_token=secret', `https://host/v1?v=2&access_token=${MASK}`],
    ['https://host/v1?apiKey=secret', `https://host/v1?apiKey=${MASK}`],
    ['https://host/v1?X-Amz-Signature=secret', `https://host/v1?X-Amz-Signature=${MASK}`],
    ['https://host/v1?subscription%2Dkey=secret', `https://host/v1?subscription%2Dkey=${MASK}`],
    ['https://host/@name?v=2', 'https://host/@name?v=2'],
  ])('leaves no credentials in the endpoint %s of a request', (apiEndpoint, masked) => {
    expect(maskRequest({ a: { apiEndpoint } })).toEqual({ a: { apiEndpoint: masked } });
    const requestData = { runningConfig: { authorizationInfo: { apiEndpoint } } };
    expect(toCommonConfig({ ...TASK, requestData })).toEqual({
      authorizationInfo: { apiEndpoint: masked },
    });
  });

  it('keeps a key named __proto__', () => {
    const hostile: JsonObject = JSON.parse('{"__proto__": {"apiKey": "secret", "a": 1}}');
    expect(JSON.stringify(maskRequest(hostile))).toBe(`{"__proto__":{"apiKey":"${MASK}","a":1}}`);
  });
});

describe('The effective configuration', () => {
  it('is the global one where a request has none', () => {
    const global = commonConfigSchema.parse({ id: 'global', steps: 4, backend: 'b' });
    expect(overGlobalConfig(undefined, global)).toMatchObject({ id: undefined, steps: 4 });
  });

  it('takes no zero and no undefined enum for an answer', () => {
    const global = commonConfigSchema.parse({ mode: 'FAST', steps: 4, platform: 'Windows' });
    const own = commonConfigSchema.parse({ mode: 'MODEUNDEFINED', steps: 0, platform: '' });
    expect(overGlobalConfig(own, global)).toMatchObject({
      mode: 'FAST',
      steps: 4,
      platform: 'Windows',
    });
  });
});
