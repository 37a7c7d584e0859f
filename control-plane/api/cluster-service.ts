/**
 * The Cluster service: the API for ctl and for other services. Every replica of the control plane serves it; it keeps
 * no state of its own, so any replica answers like any other.
 *
 * Invariants
 * - What a client saw succeed is in the store. A lost answer of the store is settled before the client gets one.
 * - An object is stored only after admission (admission.ts): schema, defaults, the kind's rules, all problems at once.
 * - Every write compares the revision that it was made from; a lost race is tried again from what is there now, unless
 *   the client named a resourceVersion.
 * - `status` and what admission.ts calls the cluster's fields never come from a client.
 * - An address or port belongs to one object: its key is written and removed with the object, in one transaction.
 * - Every call that changes something is audited.
 * - So many changes are made at once, in the order they came; reads do not wait for those that wait.
 */
import { GantryError } from '../../lib/errors.ts';
import { Gate } from '../../lib/gate.ts';
import type { CallContext } from '../../lib/rpc/serve-call.ts';
import type { ExecRequest } from '../../proto/gen/types.ts';
import { applyHandler } from './apply-handler.ts';
import { audited, auditStream } from './audit.ts';
import { deleteHandlers } from './delete.ts';
import type { ApiDependencies, ClusterHandlers } from './dependencies.ts';
import { readHandlers } from './read.ts';
import { Turns } from './turns.ts';
import { watchHandler } from './watch.ts';
import { writeHandlers } from './write.ts';

/** Enough for the store to be busy; the rest of a burst waits where it does not keep reads from their turn. */
const mostChangesAtOnce = 32;

export function createClusterService(given: ApiDependencies): ClusterHandlers {
  const dependencies: ApiDependencies = { turns: new Turns(), ...given };
  const { log, logsAndExec, stats, tokens, resolve, scheduling, membership } = dependencies;
  const writes = writeHandlers(dependencies);
  const deletes = deleteHandlers(dependencies);
  const gate = new Gate(mostChangesAtOnce);
  const change = <Request extends object, Response extends object>(
    verb: string,
    handler: (request: Request, context: CallContext) => Promise<Response>,
  ) => audited<Request, Response>(log, verb, (request, context) => gate.through(() => handler(request, context)));
  const absent = absentHandlers();
  const { CreateToken, ListTokens, RevokeToken } = tokens ?? absent;
  const { ListControlPlanes, RemoveControlPlane } = membership ?? absent;
  return {
    ...readHandlers(dependencies),
    Watch: watchHandler(dependencies),
    Apply: change('apply', applyHandler(dependencies)),
    Create: change('create', writes.Create),
    Update: change('update', writes.Update),
    Patch: change('patch', writes.Patch),
    Scale: change('scale', writes.Scale),
    Delete: change('delete', deletes.Delete),
    Evict: change('evict', deletes.Evict),
    Logs: (logsAndExec ?? absent).Logs,
    Exec: auditedExec(dependencies, (logsAndExec ?? absent).Exec),
    GetPodStats: (stats ?? absent).GetPodStats,
    GetNodeStats: (stats ?? absent).GetNodeStats,
    Resolve: resolve ?? absent.Resolve,
    ExplainPending: (scheduling ?? absent).ExplainPending,
    Simulate: (scheduling ?? absent).Simulate,
    ListControlPlanes,
    RemoveControlPlane: audited(log, 'remove control plane', RemoveControlPlane),
    CreateToken: audited(log, 'create token', CreateToken),
    ListTokens,
    RevokeToken: audited(log, 'revoke token', RevokeToken),
  };
}

/** Exec changes what runs: the line names the pod and the program, not its arguments, which may be secret. */
function auditedExec({ log }: ApiDependencies, exec: ClusterHandlers['Exec']): ClusterHandlers['Exec'] {
  return (requests, context) => {
    async function* seen(): AsyncGenerator<ExecRequest, void, undefined> {
      for await (const request of requests) {
        if (request.start) {
          const { namespace, pod, container, command } = request.start;
          auditStream(log, 'exec', context.peer, {
            kind: 'Pod',
            namespace,
            name: pod,
            container,
            program: command?.[0],
          });
        }
        yield request;
      }
    }
    return exec(seen(), context);
  };
}

/** For what this control plane was started without. */
function absentHandlers(): Pick<
  ClusterHandlers,
  | 'Logs'
  | 'Exec'
  | 'GetPodStats'
  | 'GetNodeStats'
  | 'Resolve'
  | 'ExplainPending'
  | 'Simulate'
  | 'CreateToken'
  | 'ListTokens'
  | 'RevokeToken'
  | 'ListControlPlanes'
  | 'RemoveControlPlane'
> {
  const refuse = (what: string): never => {
    throw new GantryError('unimplemented', `this control plane serves no ${what}; ask another one`);
  };
  return {
    Logs: () => refuse('logs'),
    Exec: () => refuse('exec'),
    GetPodStats: async () => refuse('stats'),
    GetNodeStats: async () => refuse('stats'),
    Resolve: async () => refuse('DNS'),
    ExplainPending: async () => refuse('scheduling'),
    Simulate: async () => refuse('scheduling'),
    CreateToken: async () => refuse('tokens'),
    ListTokens: async () => refuse('tokens'),
    RevokeToken: async () => refuse('tokens'),
    ListControlPlanes: async () => refuse('list of control planes'),
    RemoveControlPlane: async () => refuse('removal of control planes'),
  };
}
