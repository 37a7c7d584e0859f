/**
 * Where the control plane's thread spent its time, by what it was for: the innermost file of ours below each sample that
 * says what it is for. What many use (labels, conditions, keys) counts for whoever used it.
 */
import { fileURLToPath } from 'node:url';
import type { CpuProfile, ProfileNode } from './hollow/profiler.ts';

export interface Phase {
  readonly phase: string;
  /** Of the time that it was at work, from when it had started. */
  readonly share: number;
}

const starting = 'starting';
const root = fileURLToPath(new URL('../..', import.meta.url));

const phases: readonly (readonly [RegExp, string])[] = [
  [/^lib\/model\/(codec|pod-codec|unknown|stored|sealed)/, 'objects to bytes and back'],
  [/^lib\/store\/(etcd-watch|message-reader)/, 'watch: from etcd'],
  [/^lib\/store\/mirror|^control-plane\/state\/(cluster-state|object-index|follow)/, 'mirror: objects and indexes'],
  [/^lib\/store\//, 'transactions: to etcd and back'],
  [/^control-plane\/state\//, 'transactions: of controllers'],
  [/^control-plane\/scheduler\/(bind|write-parts|refusals|preemption-write|loop)/, 'bindings as transactions'],
  [/^control-plane\/scheduler\/(view|picture)/, 'the picture of the nodes'],
  [/^control-plane\/scheduler\//, 'scheduling'],
  [/^control-plane\/controllers\/(run-controller|keys-of)/, 'controllers: whom a change concerns'],
  [/^control-plane\/controllers\/[\w-]+\/controller/, 'controllers: whom a change concerns'],
  [/^control-plane\/controllers\//, 'controllers: reconciling'],
  [/^control-plane\/events\//, 'events'],
  [/^control-plane\/session\//, 'node sessions'],
  [/^control-plane\/api\//, 'API: watchers'],
  [/^lib\/rpc\//, 'gRPC: to and from clients'],
  [/^control-plane\//, 'the rest of ours'],
];

export function phasesOf({ nodes, samples, timeDeltas }: CpuProfile): Phase[] {
  const phaseOf = phasesByNode(nodes);
  const spent = new Map<string, number>();
  let total = 0;
  samples.forEach((id, index) => {
    const phase = phaseOf.get(id)!;
    const micros = timeDeltas[index + 1] ?? 0;
    if (phase === '(idle)' || phase === starting) return;
    spent.set(phase, (spent.get(phase) ?? 0) + micros);
    total += micros;
  });
  return [...spent].map(([phase, micros]) => ({ phase, share: micros / total })).sort((a, b) => b.share - a.share);
}

function phasesByNode(nodes: readonly ProfileNode[]): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const found = new Map<number, string>();
  const visit = (node: ProfileNode, inherited: string): void => {
    const phase = phaseOfFrame(node) ?? inherited;
    found.set(node.id, phase);
    for (const child of node.children ?? []) visit(byId.get(child)!, phase);
  };
  visit(nodes[0]!, 'Node, HTTP/2, TLS');
  return found;
}

function phaseOfFrame({ callFrame: { functionName, url } }: ProfileNode): string | undefined {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(idle)') return '(idle)';
  if (url.startsWith('node:internal/modules/')) return starting;
  const path = url.replace('file://', '').replace(root, '');
  if (path.startsWith('/') || path.startsWith('node_modules/')) return undefined;
  return phases.find(([pattern]) => pattern.test(path))?.[1];
}
