/**
 * GetPodStats and GetNodeStats: asks the agents of the nodes in question, a few at a time, and says who did not answer. Nothing
 * is kept: whoever asks waits the second that an agent measures for.
 */
import { GantryError, messageOf } from '../../lib/errors.ts';
import { defaultNamespace } from '../../lib/model/defaults.ts';
import { matchesSelector, parseSelector } from '../../lib/model/labels.ts';
import { isPodActive, isPodBound } from '../../lib/model/pods.ts';
import type { Handlers } from '../../lib/rpc/serve-call.ts';
import type { Node, NodeStats, Pod, PodStats, StatsRequest, StatsResponse } from '../../proto/gen/types.ts';
import type { Snapshot } from '../state/snapshot.ts';

export type StatsHandlers = Pick<Handlers<'Cluster'>, 'GetPodStats' | 'GetNodeStats'>;

export interface StatsOptions {
  readonly snapshot: Snapshot;
  /** Rejects when the agent cannot be asked. */
  readonly ask: (node: Node, request: StatsRequest, signal: AbortSignal) => Promise<StatsResponse>;
}

const askedAtOnce = 64;
/** Beyond it, the first few speak for the others. */
const mostWarnings = 5;

export function statsHandlers({ snapshot, ask }: StatsOptions): StatsHandlers {
  return {
    async GetPodStats({ namespace, name, labelSelector = '' }, { signal }) {
      const pods = choosePods(snapshot, namespace, name, labelSelector);
      const items: PodStats[] = [];
      const silent: string[] = [];
      const byNode = Map.groupBy(pods, ({ spec }) => spec.nodeName ?? '');
      await inTurns([...byNode], async ([nodeName, own]) => {
        const node = snapshot.get('Node', undefined, nodeName);
        try {
          if (!node) throw new GantryError('notFound', `node ${nodeName} is not in the cluster any more`);
          const podUIDs = own.flatMap(({ metadata }) => metadata.uid ?? []);
          items.push(...((await ask(node, { podUIDs }, signal)).pods ?? []));
        } catch (error) {
          silent.push(`${own.length === 1 ? '1 pod' : `${own.length} pods`} left out: ${messageOf(error)}`);
        }
      });
      const sorted = items.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
      return { items: sorted, warnings: shortened(silent) };
    },

    async GetNodeStats({ name, labelSelector = '' }, { signal }) {
      const selector = parseSelector(labelSelector);
      const nodes = name
        ? [existing(snapshot, name)]
        : snapshot.list('Node').filter(({ metadata }) => matchesSelector(selector, metadata.labels));
      const items: NodeStats[] = [];
      const silent: string[] = [];
      await inTurns(nodes, async (node) => {
        try {
          const { node: stats } = await ask(node, { nodeOnly: true }, signal);
          if (!stats)
            throw new GantryError(
              'unimplemented',
              `the agent of ${node.metadata.name} is too old to tell what its machine uses; upgrade it`,
            );
          items.push({ ...stats, name: node.metadata.name });
        } catch (error) {
          silent.push(messageOf(error));
          items.push({ name: node.metadata.name });
        }
      });
      return { items: items.sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1)), warnings: shortened(silent) };
    },
  };
}

function choosePods(
  snapshot: Snapshot,
  namespace: string | undefined,
  name: string | undefined,
  labels: string,
): readonly Pod[] {
  if (name) {
    const pod = snapshot.get('Pod', namespace || defaultNamespace, name);
    if (!pod)
      throw new GantryError('notFound', `pods "${name}" not found in namespace "${namespace || defaultNamespace}"`);
    if (!isPodBound(pod))
      throw new GantryError('failedPrecondition', `pod ${name} is on no node yet; see ctl describe pod ${name}`);
    return [pod];
  }
  const selector = parseSelector(labels);
  return snapshot
    .list('Pod', namespace || undefined)
    .filter((pod) => isPodBound(pod) && isPodActive(pod) && matchesSelector(selector, pod.metadata.labels));
}

function existing(snapshot: Snapshot, name: string): Node {
  const node = snapshot.get('Node', undefined, name);
  if (node) return node;
  throw new GantryError('notFound', `nodes "${name}" not found; see ctl get nodes`);
}

const nameOf = ({ namespace = '', name = '' }: PodStats): string => `${namespace}/${name}`;

function shortened(sentences: readonly string[]): string[] {
  const sorted = [...sentences].sort();
  const rest = sorted.length - mostWarnings;
  return rest > 0 ? [...sorted.slice(0, mostWarnings), `and ${rest} more`] : sorted;
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(askedAtOnce, items.length) }, worker));
}
