import type { AgentService } from './agent-service.js';
import type { RawAnswer } from './raw-client.js';
import { nameOf, pathOf, type Method, type WireField } from './wire-fields.js';

const MASK = '********';

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined),
    root,
  );
}

/** The default of a field means the same as leaving it out. */
function withoutDefault(value: unknown, field: WireField): unknown {
  const isDefault =
    value === '' || value === 0 || value === false || value === field.enumNames.get(0);
  return isDefault ? undefined : value;
}

/**
 * Reads what a call has stored of a field.
 *
 * @returns `null` when the call stores nothing of its request, or a secret of it only as a mask
 */
export async function readBack(
  method: Method,
  field: WireField,
  answer: RawAnswer,
  { tasks, agent }: AgentService,
): Promise<{ readonly value: unknown } | null> {
  const path = field.path.map(({ name }) => name);
  if (field.type === 'TYPE_MESSAGE') {
    return null;
  }
  const [message] = answer.messages;
  if (nameOf(method).startsWith('RunAgentInstruction')) {
    const taskId = String(valueAt(message, ['taskId']));
    const { request_data_json: json } = await tasks.call('GetTask', { task_id: taskId });
    // A request is stored without who sent it, and endpoints without the secrets in them.
    return /\.(orgID|apiEndpoint)$/.test(pathOf(field))
      ? null
      : { value: withoutDefault(valueAt(JSON.parse(json), path), field) };
  }
  if (nameOf(method) === 'SetGlobalCommonConfig') {
    const config = await agent.call('GetGlobalCommonConfig');
    return pathOf(field) === 'commonConfig.id'
      ? null
      : { value: withoutDefault(valueAt(config, path.slice(1)), field) };
  }
  return nameOf(method).startsWith('SetGlobal')
    ? { value: withoutDefault(valueAt(message, path.slice(1)), field) }
    : null;
}

/** @returns what must be stored when a client has meant this */
export function expectedStored(field: WireField, meaning: unknown): unknown {
  const value = field.type === 'TYPE_ENUM' ? field.enumNames.get(Number(meaning)) : meaning;
  const stored = withoutDefault(value, field);
  return pathOf(field).endsWith('.apiKey') && stored !== undefined ? MASK : stored;
}
