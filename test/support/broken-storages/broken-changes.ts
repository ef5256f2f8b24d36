import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TaskChange } from '../../../src/task/task-change.js';
import type { TaskStorage } from '../../../src/task/task-storage.js';
import { replace, type BrokenStorage } from './breaking.js';

type Listener = (change: TaskChange) => void;

/** Puts another way of listening in the place of the storage's own. */
function listeningBy(
  listen: (listenRight: TaskStorage['changes']['listen'], listener: Listener) => () => void,
): (storage: TaskStorage) => TaskStorage {
  return (storage) => {
    const { changes } = storage;
    return replace(storage, {
      changes: replace(changes, {
        listen: (listener) => listen((right) => changes.listen(right), listener),
      }),
    });
  };
}

/** A storage that tells of a new task by itself, at the time that `create` chooses. */
function tellingBy(
  create: (tell: () => void, createRight: () => Promise<boolean>) => Promise<boolean>,
): (storage: TaskStorage) => TaskStorage {
  return (storage) => {
    const { changes } = storage;
    const listeners = new Set<Listener>();
    return replace(storage, {
      changes: replace(changes, {
        listen: (listener) => {
          listeners.add(listener);
          const end = changes.listen((change) => {
            if (change.kind !== 'written' && change.kind !== 'queued') {
              listener(change);
            }
          });
          return () => {
            listeners.delete(listener);
            end();
          };
        },
      }),
      createTask: (task, options) =>
        create(
          () => {
            const kind = options?.queue === true ? 'queued' : 'written';
            listeners.forEach((listener) => listener({ kind, taskId: task.taskId }));
          },
          () => storage.createTask(task, options),
        ),
    });
  };
}

/** Mistakes in the hints about changes. */
export const brokenChanges: readonly BrokenStorage[] = [
  {
    mistake: 'tells nobody of its changes',
    caughtBy: 'are told when they can be read, each as what it is',
    breakStorage: listeningBy(() => () => undefined),
  },
  {
    mistake: 'tells of a change before it is written',
    caughtBy: 'are told when they can be read, each as what it is',
    breakStorage: tellingBy(async (tell, create) => {
      await nextTurn();
      tell();
      await nextTurn();
      return create();
    }),
  },
  {
    mistake: 'tells of a change from within the operation',
    caughtBy: 'are never told from within an operation',
    breakStorage: tellingBy((tell, create) => {
      const creating = create();
      tell();
      return creating;
    }),
  },
  {
    mistake: 'calls every change written',
    caughtBy: 'are told of the tasks of every tenant',
    breakStorage: listeningBy((listen, listener) =>
      listen((change) => listener({ ...change, kind: 'written' })),
    ),
  },
  {
    mistake: 'tells of one task only that a cleanup deletes',
    caughtBy: 'are told of each task that a cleanup deletes',
    breakStorage: listeningBy((listen, listener) =>
      listen((change) => {
        if (change.taskId !== 'b' || change.kind !== 'ended') {
          listener(change);
        }
      }),
    ),
  },
  {
    mistake: 'goes on telling after the end',
    caughtBy: 'are told to everybody who listens, until they end it',
    breakStorage: listeningBy((listen, listener) => {
      listen(listener);
      return () => undefined;
    }),
  },
  {
    mistake: 'tells the newest listener alone',
    caughtBy: 'are told to everybody who listens, until they end it',
    breakStorage: (storage) => {
      let end = (): void => undefined;
      const listen = listeningBy((listenRight, listener) => {
        end();
        end = listenRight(listener);
        return end;
      });
      return listen(storage);
    },
  },
  {
    mistake: 'tells nobody else when a listener fails',
    caughtBy: 'are told to the others when a listener fails',
    breakStorage: (storage) => {
      const listeners = new Set<Listener>();
      storage.changes.listen((change) => listeners.forEach((listener) => listener(change)));
      return listeningBy((_listen, listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      })(storage);
    },
  },
];
