import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf, type Message } from '../support/agent-clients.js';
import { describeAgentService } from '../support/agent-suite.js';

describeAgentService(
  'TaskService',
  (suite) => {
    async function call(method: string, request: object = {}): Promise<Message> {
      return suite.service.tasks.call(method, request);
    }

    async function removeAllTasks(): Promise<void> {
      for (;;) {
        const { tasks } = await suite.storage.listTasks({ limit: 1000 });
        if (tasks.length === 0) {
          return;
        }
        await Promise.all(tasks.map(async ({ taskId }) => suite.storage.deleteTask(taskId)));
      }
    }

    async function storeTasks(count: number): Promise<string[]> {
      await removeAllTasks();
      const ids = Array.from({ length: count }, (_, index) => `task-${index}`);
      for (const taskId of ids) {
        await suite.storage.createTask({ taskId, query: 'count', maxSteps: 3 });
      }
      return ids.toReversed();
    }

    it('answers everything that is stored about a task', async () => {
      const taskId = await suite.runToEnd({
        finalState: 'done',
        result: 'the answer',
        executionStatistics: { steps: 3 },
        conversationHistory: { planner: [{ deep: [[[[{ a: 1 }]]]] }] },
        sandboxInfo: { id: 'box-1' },
      });
      const task = await call('GetTask', { task_id: taskId });
      expect(task).toMatchObject({
        task_id: taskId,
        tenant_id: 'default',
        status: 'TASK_STATUS_FINISHED',
        query: 'open the calculator',
        max_steps: 50,
        final_state: 'done',
        result: 'the answer',
        last_event_sequence: 2,
        attempt: 1,
        max_attempts: 1,
      });
      expect(task).not.toHaveProperty('error');
      expect(task).not.toHaveProperty('lease_owner');
      expect(JSON.parse(task.execution_statistics_json)).toEqual({ steps: 3 });
      expect(JSON.parse(task.sandbox_info_json)).toEqual({ id: 'box-1' });
      expect(JSON.parse(task.request_data_json)).toEqual({ instruction: 'open the calculator' });
      expect(JSON.parse(task.conversation_history_json)).toEqual({
        planner: [{ deep: [[[[{ a: 1 }]]]] }],
      });
      const stored = await suite.storage.getTask(taskId);
      for (const [field, time] of [
        ['create_time', stored?.createdAt],
        ['update_time', stored?.updatedAt],
        ['start_time', stored?.startedAt],
        ['finish_time', stored?.finishedAt],
      ] as const) {
        const { seconds, nanos } = task[field];
        expect(Number(seconds) * 1000 + nanos / 1_000_000).toBe(time?.getTime());
      }
    });

    it('masks the secrets of requests that the original service stored in clear', async () => {
      const authorizationInfo = { orgID: 'org', apiKey: 'secret' };
      const requestData = { runningConfig: { authorizationInfo } };
      const taskId = 'of-the-original';
      await suite.storage.createTask({ taskId, query: 'q', maxSteps: 1, requestData });
      const task = await call('GetTask', { task_id: taskId });
      expect(JSON.parse(task.request_data_json)).toEqual({
        runningConfig: { authorizationInfo: { orgID: '********', apiKey: '********' } },
      });
    });

    it('lists a full page of long tasks within what clients take by default', async () => {
      await removeAllTasks();
      const long = '任'.repeat(5_000);
      const ended = { timestampDir: long, result: long, error: long, status: 'error' } as const;
      await Promise.all(
        Array.from({ length: 1_000 }, async (_, index) => {
          const taskId = `long-${index}`;
          await suite.storage.createTask({ taskId, query: long, maxSteps: 1 });
          await suite.storage.updateTask(taskId, ended);
        }),
      );
      const page = await call('ListTasks', { page_size: 1_000 });
      expect(page.tasks).toHaveLength(1_000);
      const task: unknown = page.tasks[0];
      const cut = `${'任'.repeat(166)}… (cut)`;
      expect(task).toMatchObject({ query: cut, timestamp_dir: cut, result: cut, error: cut });
      expect(await call('GetTask', { task_id: 'long-0' })).toMatchObject({
        query: long,
        result: long,
        error: long,
      });
      await removeAllTasks();
    });

    it('says that a task is not found, and why, to programs too', async () => {
      for (const method of ['GetTask', 'DeleteTask']) {
        const error = await statusOf(call(method, { task_id: 'no-such-task' }));
        expect(error.code).toBe(status.NOT_FOUND);
        expect(error.details).toBe('Task with ID no-such-task not found.');
        expect(errorInfoOf(error)).toMatchObject({
          code: status.NOT_FOUND,
          reason: 'TASK_NOT_FOUND',
          domain: 'nestjs-task-storage',
        });
      }
    });

    it('refuses an id that no task can have, naming the field', async () => {
      for (const taskId of ['', 'a\0b', 'x'.repeat(256)]) {
        const calls = [
          call('GetTask', { task_id: taskId }),
          call('DeleteTask', { task_id: taskId }),
          suite.service.tasks.stream('WatchTask', { task_id: taskId }).ended,
        ];
        for (const failing of calls) {
          const error = await statusOf(failing);
          expect(error.code).toBe(status.INVALID_ARGUMENT);
          expect(errorInfoOf(error).metadata).toEqual({ field: 'task_id' });
        }
      }
    });

    it('lists tasks page by page, the newest first, without their JSON fields', async () => {
      const ids = await storeTasks(5);
      const seen: string[] = [];
      let page_token = '';
      do {
        const page = await call('ListTasks', { page_size: 2, page_token });
        seen.push(...page.tasks.map((task: Message) => task.task_id));
        expect(page.tasks[0]).not.toHaveProperty('request_data_json');
        page_token = page.next_page_token;
      } while (page_token !== '');
      expect(seen).toEqual(ids);
    });

    it('lists only tasks of the status asked for', async () => {
      const [newest] = await storeTasks(3);
      await suite.storage.updateTask(newest ?? '', { status: 'running' });
      const running = await call('ListTasks', { status: 'TASK_STATUS_RUNNING' });
      expect(running.tasks.map((task: Message) => task.task_id)).toEqual([newest]);
      expect((await call('ListTasks', { status: 'TASK_STATUS_ERROR' })).tasks).toEqual([]);
    });

    it('takes a page size above the maximum as the maximum and refuses a negative one', async () => {
      await storeTasks(3);
      expect((await call('ListTasks', { page_size: 2_000_000 })).tasks).toHaveLength(3);
      const error = await statusOf(call('ListTasks', { page_size: -1 }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(errorInfoOf(error).metadata).toEqual({ field: 'page_size' });
    });

    it('refuses a page token that was not given out for the list', async () => {
      await storeTasks(3);
      const { next_page_token } = await call('ListTasks', { page_size: 1 });
      const otherList = { page_token: next_page_token, status: 'TASK_STATUS_PENDING' };
      for (const request of [{ page_token: 'forged' }, otherList]) {
        const error = await statusOf(call('ListTasks', request));
        expect(error.code).toBe(status.INVALID_ARGUMENT);
        expect(errorInfoOf(error).metadata).toEqual({ field: 'page_token' });
      }
    });

    it('refuses a status that the definition does not know', async () => {
      const error = await statusOf(call('ListTasks', { status: 77 }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(errorInfoOf(error).metadata).toEqual({ field: 'status' });
    });

    it('deletes a task with its events', async () => {
      const taskId = await suite.runToEnd();
      await call('DeleteTask', { task_id: taskId });
      expect(await suite.storage.getTask(taskId)).toBeNull();
      expect(await suite.storage.listEvents(taskId)).toEqual([]);
    });

    it('aborts the runner of a running task that is deleted, and ends its followers', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      const stream = suite.service.tasks.stream('WatchTask', { task_id: taskId });
      await stream.next();
      await call('DeleteTask', { task_id: taskId });
      await run.aborted;
      expect((await statusOf(stream.ended)).code).toBe(status.NOT_FOUND);
    });

    it('counts the active tasks', async () => {
      const [newest] = await storeTasks(3);
      await suite.storage.updateTask(newest ?? '', { status: 'cancelled' });
      expect(await call('CountActiveTasks')).toEqual({ active_task_count: 2 });
    });

    it('deletes old ended tasks of the statuses asked for, or counts them', async () => {
      const [first, second, third] = await storeTasks(3);
      await suite.storage.updateTask(first ?? '', { status: 'error' });
      await suite.storage.updateTask(second ?? '', { status: 'cancelled' });
      const cleanup = async (request: object) => call('CleanupOldTasks', request);
      expect(await cleanup({ older_than_days: 30 })).toEqual({ deleted_task_count: 0 });
      expect(await cleanup({ older_than_days: 0, dry_run: true })).toEqual({
        deleted_task_count: 2,
      });
      expect(await cleanup({ older_than_days: 0, statuses: ['TASK_STATUS_ERROR'] })).toEqual({
        deleted_task_count: 1,
      });
      expect(await cleanup({ older_than_days: 0 })).toEqual({ deleted_task_count: 1 });
      expect((await suite.storage.listTasks()).tasks.map(({ taskId }) => taskId)).toEqual([third]);
    });

    it('cleans up nothing unless it is told what', async () => {
      const requests = [
        [{}, 'older_than_days'],
        [{ older_than_days: -1 }, 'older_than_days'],
        [{ older_than_days: 40_000 }, 'older_than_days'],
        [{ older_than_days: 0, statuses: ['TASK_STATUS_RUNNING'] }, 'statuses.0'],
        [{ older_than_days: 0, statuses: ['TASK_STATUS_ERROR', 99] }, 'statuses.1'],
      ] as const;
      for (const [request, field] of requests) {
        const error = await statusOf(call('CleanupOldTasks', request));
        expect(error.code).toBe(status.INVALID_ARGUMENT);
        expect(errorInfoOf(error).metadata).toEqual({ field });
      }
    });

    it('resumes a watch after a sequence', async () => {
      const taskId = await suite.submit();
      const run = await suite.runner.next();
      await run.report('one', 'first');
      const watch = suite.service.tasks.stream('WatchTask', { task_id: taskId });
      await watch.next();
      const { sequence } = await watch.next();
      watch.call.cancel();
      await statusOf(watch.ended);
      const resumed = suite.service.tasks.stream('WatchTask', {
        task_id: taskId,
        after_sequence: sequence,
      });
      await run.report('two', 'second');
      run.finish();
      const events = await resumed.ended;
      expect(events).toMatchObject([
        { task_id: taskId, sequence: 3, stage: 'two', message: 'second' },
        { task_id: taskId, sequence: 4, stage: 'finished', status: 'TASK_STATUS_FINISHED' },
      ]);
      expect(events[0]?.status).toBe('TASK_STATUS_UNSPECIFIED');
      const afterTheEnd = { task_id: taskId, after_sequence: 4 };
      expect(await suite.service.tasks.stream('WatchTask', afterTheEnd).ended).toEqual([]);
    });

    it('refuses a negative sequence and a task that does not exist', async () => {
      const negative = { task_id: 'task', after_sequence: -1 };
      const error = await statusOf(suite.service.tasks.stream('WatchTask', negative).ended);
      expect(errorInfoOf(error).metadata).toEqual({ field: 'after_sequence' });
      const unknown = suite.service.tasks.stream('WatchTask', { task_id: 'no-such-task' });
      expect((await statusOf(unknown.ended)).code).toBe(status.NOT_FOUND);
    });
  },
  { maxTasks: 1_000 },
);
