/** What a token may do. Each includes the ones before it. */
export const ROLES = ['read', 'run', 'admin'] as const;

/** `read` looks, `run` also starts and cancels tasks, `admin` also deletes and configures. */
export type Role = (typeof ROLES)[number];

/** Who may call an RPC. */
export type RpcAccess =
  /** Anybody, without a token. */
  | { readonly kind: 'open' }
  | {
      readonly kind: 'role';
      readonly role: Role;
      /** Only for a token of all tenants, because the RPC reaches them all. */
      readonly allTenants: boolean;
    };

function role(needed: Role): RpcAccess {
  return { kind: 'role', role: needed, allTenants: false };
}

const OPEN: RpcAccess = { kind: 'open' };
const ADMIN_OF_ALL: RpcAccess = { kind: 'role', role: 'admin', allTenants: true };

const AGENT = '/lybic.agent.Agent';
const TASKS = '/nestjs_task_storage.v1.TaskService';
const HEALTH = '/grpc.health.v1.Health';

/**
 * Every RPC of the port, by its path, and who may call it where callers authenticate. One that is
 * not here is refused to everybody.
 *
 * Health is open because probes of Kubernetes send no token. Whoever sets the global configuration
 * sets it for all tenants.
 */
export const RPC_ACCESS: ReadonlyMap<string, RpcAccess> = new Map([
  [`${AGENT}/GetAgentInfo`, role('read')],
  [`${AGENT}/RunAgentInstruction`, role('run')],
  [`${AGENT}/RunAgentInstructionAsync`, role('run')],
  [`${AGENT}/GetAgentTaskStream`, role('read')],
  [`${AGENT}/QueryTaskStatus`, role('read')],
  [`${AGENT}/CancelTask`, role('run')],
  [`${AGENT}/GetGlobalCommonConfig`, role('read')],
  [`${AGENT}/GetCommonConfig`, role('read')],
  [`${AGENT}/SetGlobalCommonConfig`, ADMIN_OF_ALL],
  [`${AGENT}/SetGlobalCommonLLMConfig`, ADMIN_OF_ALL],
  [`${AGENT}/SetGlobalGroundingLLMConfig`, ADMIN_OF_ALL],
  [`${AGENT}/SetGlobalEmbeddingLLMConfig`, ADMIN_OF_ALL],
  [`${TASKS}/GetTask`, role('read')],
  [`${TASKS}/ListTasks`, role('read')],
  [`${TASKS}/CountActiveTasks`, role('read')],
  [`${TASKS}/WatchTask`, role('read')],
  [`${TASKS}/DeleteTask`, role('admin')],
  [`${TASKS}/CleanupOldTasks`, role('admin')],
  [`${HEALTH}/Check`, OPEN],
  [`${HEALTH}/List`, OPEN],
  [`${HEALTH}/Watch`, OPEN],
  ['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', role('read')],
  ['/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo', role('read')],
]);

/** Whether a role includes another. */
export function includesRole(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}
