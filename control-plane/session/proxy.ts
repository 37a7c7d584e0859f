/**
 * Logs, Exec and the stats of the Cluster service: finds the node of the pod and passes the streams on to its agent, with this
 * control plane's client certificate. The agent's certificate must carry the node's name.
 */
import { GantryError, isGantryError } from '../../lib/errors.ts';
import { findCondition } from '../../lib/model/conditions.ts';
import { type Connection, connect } from '../../lib/rpc/client.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import { nodeServerName } from '../../lib/rpc/server-name.ts';
import type { ReloadableTls } from '../../lib/rpc/tls.ts';
import type { ExecRequest, Node, Pod } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';
import { type StatsHandlers, statsHandlers } from './stats.ts';

export const defaultAgentPort = 10250;

export interface ProxyOptions {
  readonly snapshot: Snapshot;
  /** This control plane's identity, role control-plane. */
  readonly tls: ReloadableTls;
}

export type ProxyHandlers = Pick<Handlers<'Cluster'>, 'Logs' | 'Exec'> & StatsHandlers;

/** An agent measures for a second. */
const statsDeadlineMs = 5_000;

export function proxyHandlers(options: ProxyOptions): ProxyHandlers {
  return {
    ...statsHandlers({
      snapshot: options.snapshot,
      async ask(node, request, signal) {
        const hope = 'what it uses can be told when it is back';
        const target = targetOn(node, hope, `${node.metadata.name} has not told its address yet`);
        const connection = dial(target, options);
        try {
          return await connection.client('Agent').Stats(request, { signal, deadlineMs: statsDeadlineMs });
        } catch (error) {
          throw explain(error, target, hope);
        } finally {
          connection.close();
        }
      },
    }),

    async *Logs(request, { signal }) {
      const hope = 'logs of its pods can be read when it is back';
      const target = locate(request.namespace, request.pod, options.snapshot, hope);
      const connection = dial(target, options);
      try {
        yield* connection.client('Agent').Logs(request, { signal });
      } catch (error) {
        throw explain(error, target, hope);
      } finally {
        connection.close();
      }
    },

    async *Exec(requests, { signal }) {
      const inbox = requests[Symbol.asyncIterator]();
      const first = await inbox.next();
      const start = first.done ? undefined : first.value.start;
      if (!start) throw new GantryError('invalidArgument', 'the first message of Exec must be `start`');
      const hope = 'commands can be run in its pods when it is back';
      const target = locate(start.namespace, start.pod, options.snapshot, hope);
      const connection = dial(target, options);
      try {
        yield* connection.client('Agent').Exec(continued({ start }, inbox), { signal });
      } catch (error) {
        throw explain(error, target, hope);
      } finally {
        connection.close();
      }
    },
  };
}

interface Target {
  readonly nodeName: string;
  /** host:port */
  readonly address: string;
}

function locate(namespace = 'default', name = '', snapshot: Snapshot, hope: string): Target {
  const pod = snapshot.get('Pod', namespace, name);
  if (!pod) {
    throw new GantryError(
      'notFound',
      `pod "${name}" does not exist in namespace "${namespace}"; see \`ctl get pods -n ${namespace}\``,
    );
  }
  const nodeName = nodeOf(pod);
  const node = snapshot.get('Node', undefined, nodeName);
  const where = `pod ${namespace}/${name} is on ${nodeName}`;
  if (!node) throw new GantryError('failedPrecondition', `${where}, which is not in the cluster any more`);
  return targetOn(node, hope, `${where}, which has not told its address yet`);
}

function targetOn(node: Node, hope: string, unknown: string): Target {
  const address = addressOf(node);
  if (!address) throw new GantryError('failedPrecondition', unknown);
  const target = { nodeName: node.metadata.name, address };
  // Known to be lost: dialing it would only keep the user waiting.
  const lost = findCondition(node.status?.conditions, 'Ready')?.reason === 'NodeStatusUnknown';
  if (lost) throw silent(target, hope);
  return target;
}

function nodeOf({ metadata, spec, status }: Pod): string {
  if (spec.nodeName) return spec.nodeName;
  const reason = findCondition(status?.conditions, 'PodScheduled')?.message;
  throw new GantryError(
    'failedPrecondition',
    `pod ${metadata.namespace}/${metadata.name} is not on a node yet${reason ? `: ${reason}` : '; try again soon'}`,
  );
}

function addressOf({ status }: Node): string | undefined {
  const host = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port ?? defaultAgentPort;
  return host && (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
}

function dial({ nodeName, address }: Target, { tls }: ProxyOptions): Connection {
  return connect({ address, tls, serverName: nodeServerName(nodeName) });
}

/**
 * The agent's own refusals pass as they are. That it cannot be reached is said in words, and not as `unavailable`: the
 * client would take that for the control plane's own absence.
 */
function explain(error: unknown, target: Target, hope: string): unknown {
  const isSilent = isGantryError(error, 'unavailable') || isGantryError(error, 'deadlineExceeded');
  return isSilent ? silent(target, hope, error) : error;
}

function silent({ nodeName, address }: Target, hope: string, cause?: unknown): GantryError {
  return new GantryError('failedPrecondition', `${nodeName} does not answer (${address}); ${hope}`, { cause });
}

async function* continued(first: ExecRequest, rest: AsyncIterator<ExecRequest>): AsyncGenerator<ExecRequest> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
