import { describe, expect, it } from '@jest/globals';
import { StatementGatherer } from '../../src/storage/typeorm/statement-gatherer.js';
import { StatementLane } from '../../src/storage/typeorm/statement-lane.js';
import { ALONE, answerTo, createManualStatements, turn } from '../support/manual-statements.js';

describe('what is sent together', () => {
  it('is one call alone, at once, when nothing is under way', async () => {
    const { call, batches } = createManualStatements();
    const first = call('first');
    await turn();
    expect(batches).toMatchObject([{ requests: ['first'], sharing: 'single' }]);
    expect(first.outcome).toBe('waiting');
    batches[0]?.answer();
    await turn();
    expect(first.outcome).toBe('answer to first');
  });

  it('is what comes at once, and each caller gets its own answer', async () => {
    const { call, batches } = createManualStatements();
    const calls = ['a', 'b', 'c'].map((request) => call(request));
    await turn();
    expect(batches).toMatchObject([{ requests: ['a', 'b', 'c'], sharing: 'shared' }]);
    batches[0]?.answer();
    await turn();
    expect(calls.map(({ outcome }) => outcome)).toEqual(['a', 'b', 'c'].map(answerTo));
  });

  it('is what has come while others were under way', async () => {
    const { call, batches, occupy } = createManualStatements();
    await occupy();
    call('a');
    await turn();
    call('b');
    await turn();
    expect(batches).toHaveLength(2);
    batches[1]?.answer();
    await turn();
    expect(batches.slice(2)).toMatchObject([{ requests: ['a', 'b'], sharing: 'shared' }]);
  });

  it('is divided among the statements that may be under way, and by no more than needed', async () => {
    const { call, batches } = createManualStatements({ maxShared: 2 });
    Array.from({ length: 41 }, (_, index) => call(`task-${index}`));
    await turn();
    expect(batches.map(({ requests }) => requests.length)).toEqual([21, 20]);
    batches.forEach(({ answer }) => answer());
    await turn();
    Array.from({ length: 20 }, (_, index) => call(`task-${index}`));
    await turn();
    expect(batches.slice(2).map(({ requests }) => requests.length)).toEqual([16, 4]);
  });

  it('waits for another shared statement while too few have come to go beside it', async () => {
    const { call, batches } = createManualStatements({ maxShared: 2, minBeside: 3 });
    ['a', 'b'].forEach((request) => call(request));
    await turn();
    ['c', 'd'].forEach((request) => call(request));
    await turn();
    expect(batches).toHaveLength(1);
    call('e');
    await turn();
    expect(batches[1]).toMatchObject({ requests: ['c', 'd', 'e'], sharing: 'shared' });
    call('f');
    batches.forEach(({ answer }) => answer());
    await turn();
    expect(batches[2]).toMatchObject({ requests: ['f'] });
  });

  it('is never more than 256 calls', async () => {
    const { call, batches } = createManualStatements();
    Array.from({ length: 300 }, (_, index) => call(`task-${index}`));
    await turn();
    expect(batches.map(({ requests }) => requests.length)).toEqual([256]);
    batches[0]?.answer();
    await turn();
    expect(batches[1]?.requests).toHaveLength(44);
  });

  it('is of one group, with the groups in the order of the calls', async () => {
    const { call, batches, answerAll } = createManualStatements();
    const calls = ['x1', 'x2', 'y1', 'x3', 'x4'].map((request) =>
      call(request, { group: request.charAt(0) }),
    );
    await answerAll();
    expect(batches.map(({ requests }) => requests)).toEqual([['x1', 'x2'], ['y1'], ['x3', 'x4']]);
    expect(calls.map(({ outcome }) => outcome)).not.toContain('waiting');
  });

  it('is never more than the bytes of a statement, unless one call has as many', async () => {
    const { call, batches, answerAll } = createManualStatements();
    const megabyte = 1_048_576;
    const sizes = [megabyte - 1, 1, 1, 2 * megabyte, 1];
    sizes.forEach((bytes, index) => call(`${index}`, { bytes }));
    await answerAll();
    expect(batches.map(({ requests }) => requests)).toEqual([['0', '1'], ['2'], ['3'], ['4']]);
  });
});

describe('calls about the same thing', () => {
  it('do not wait for one that is over, whatever came between', async () => {
    const { call, batches, answerAll } = createManualStatements();
    for (const key of ['k', 'l', 'k']) {
      call(key, { key });
      await answerAll();
    }
    expect(batches.map(({ requests }) => requests)).toEqual([['k'], ['l'], ['k']]);
  });

  it('wait for the only one under way, and for nothing about another', async () => {
    const { call, batches } = createManualStatements({ maxShared: 2 });
    call('k1', { key: 'k' });
    await turn();
    call('k2', { key: 'k' });
    call('l1', { key: 'l' });
    await turn();
    expect(batches.slice(1).map(({ requests }) => requests)).toEqual([['l1']]);
    batches[0]?.answer();
    await turn();
    expect(batches.slice(2).map(({ requests }) => requests)).toEqual([['k2']]);
  });

  it('are sent one after the other in their order, beside calls about others', async () => {
    const { call, batches } = createManualStatements({ maxShared: 2, maxSingle: 2 });
    const calls = ['k1', 'l1', 'k2', 'k3'].map((request) =>
      call(request, { key: request.charAt(0) }),
    );
    await turn();
    expect(batches).toMatchObject([{ requests: ['k1', 'l1'] }]);
    batches[0]?.answer();
    await turn();
    expect(batches[1]).toMatchObject({ requests: ['k2'] });
    expect(batches).toHaveLength(2);
    batches[1]?.answer();
    await turn();
    batches[2]?.answer();
    await turn();
    expect(calls.map(({ outcome }) => outcome)).toEqual(['k1', 'l1', 'k2', 'k3'].map(answerTo));
  });

  it('keep their order when one of them has to be sent again, alone', async () => {
    const { call, batches } = createManualStatements({ maxShared: 2, maxSingle: 2 });
    call('k1', { key: 'k' });
    call('other', { key: 'l' });
    call('k2', { key: 'k' });
    await turn();
    batches[0]?.answer([ALONE, { kind: 'answer', answer: 'other is done' }]);
    await turn();
    expect(batches.slice(1)).toMatchObject([{ requests: ['k1'], sharing: 'alone' }]);
    batches[1]?.answer();
    await turn();
    expect(batches[2]).toMatchObject({ requests: ['k2'] });
  });

  it.each(['own error', 'error of its statement'])('go on after an %s', async (kind) => {
    const { call, batches } = createManualStatements();
    const first = call('k1', { key: 'k' });
    const second = call('k2', { key: 'k' });
    await turn();
    const error = new Error('refused');
    if (kind === 'own error') {
      batches[0]?.answer([{ kind: 'error', error }]);
    } else {
      batches[0]?.fail(error);
    }
    await turn();
    expect(first.outcome).toBe(error);
    batches[1]?.answer();
    await turn();
    expect(second.outcome).toBe('answer to k2');
  });
});

describe('a call that has to be sent alone', () => {
  it('does not hold up the others, of its statement or later', async () => {
    const { call, batches } = createManualStatements();
    const locked = call('locked');
    const neighbour = call('neighbour');
    await turn();
    batches[0]?.answer([ALONE, { kind: 'answer', answer: 'done' }]);
    await turn();
    expect(neighbour.outcome).toBe('done');
    expect(batches[1]).toMatchObject({ requests: ['locked'], sharing: 'alone' });
    const later = call('later');
    await turn();
    batches[2]?.answer();
    await turn();
    expect([locked.outcome, later.outcome]).toEqual(['waiting', 'answer to later']);
    batches[1]?.answer();
    await turn();
    expect(locked.outcome).toBe('answer to locked');
  });

  it('is sent again when it had come by itself, before what comes later by itself', async () => {
    const { call, batches } = createManualStatements();
    call('first');
    await turn();
    batches[0]?.answer([ALONE]);
    await turn();
    expect(batches[1]).toMatchObject({ requests: ['first'], sharing: 'alone' });
  });

  it('waits its turn while as many are under way by themselves as may be', async () => {
    const { call, batches } = createManualStatements({ maxSingle: 2 });
    ['a', 'b', 'c'].forEach((request) => call(request));
    await turn();
    batches[0]?.answer([ALONE, ALONE, ALONE]);
    await turn();
    expect(batches.slice(1).map(({ requests }) => requests)).toEqual([['a'], ['b']]);
    batches[2]?.answer();
    await turn();
    expect(batches[3]).toMatchObject({ requests: ['c'], sharing: 'alone' });
  });

  it('fails rather than being sent for ever', async () => {
    const { call, batches } = createManualStatements();
    const first = call('first');
    await turn();
    batches[0]?.answer([ALONE]);
    await turn();
    batches[1]?.answer([ALONE]);
    await turn();
    expect(first.outcome).toMatchObject({ code: 'INTERNAL' });
    expect(batches).toHaveLength(2);
  });
});

describe('what goes wrong', () => {
  it('with one call is its own error', async () => {
    const { call, batches } = createManualStatements();
    const [bad, good] = [call('bad'), call('good')];
    const error = new Error('mine');
    await turn();
    batches[0]?.answer([
      { kind: 'error', error },
      { kind: 'answer', answer: 'fine' },
    ]);
    await turn();
    expect([bad.outcome, good.outcome]).toEqual([error, 'fine']);
  });

  it('with a statement is the error of all its calls, and of no other', async () => {
    const { call, batches, answerAll } = createManualStatements();
    const calls = ['a', 'b'].map((request) => call(request));
    await turn();
    const later = call('later');
    const error = new Error('all of them');
    batches[0]?.fail(error);
    await turn();
    await answerAll();
    expect(calls.map(({ outcome }) => outcome)).toEqual([error, error]);
    expect(later.outcome).toBe('answer to later');
  });

  it('is told when a call is thrown over before it is under way', async () => {
    const gatherer = new StatementGatherer<string, string>(
      () => {
        throw new Error('thrown at once');
      },
      {
        lane: new StatementLane({ maxShared: 1, maxSlow: 0 }),
        minBeside: 1,
        maxSingle: 1,
        waitLimitMs: 100,
      },
    );
    await expect(gatherer.run({ request: 'a', key: 'a', group: '', bytes: 1 })).rejects.toThrow(
      'thrown at once',
    );
    await gatherer.close();
  });

  it('is told to a caller whose outcome is missing', async () => {
    const { call, batches } = createManualStatements();
    const [first, second] = [call('a'), call('b')];
    await turn();
    batches[0]?.answer([{ kind: 'answer', answer: 'only one' }]);
    await turn();
    expect(first.outcome).toBe('only one');
    expect(second.outcome).toMatchObject({ code: 'INTERNAL' });
  });
});
