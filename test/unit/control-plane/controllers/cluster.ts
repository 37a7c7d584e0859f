/**
 * A small cluster in one process: the real controllers, state and commit over the memory store, under a virtual clock;
 * scheduler and agents are stand-ins that bind pods at once, make them ready, and confirm deletions.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { runControllers } from '../../../../control-plane/controllers/all.ts';
import { isLost } from '../../../../control-plane/controllers/node-lifecycle/taints.ts';
import { createEventRecorder } from '../../../../control-plane/events/recorder.ts';
import type { UsageOf } from '../../../../control-plane/metrics/pod-usage.ts';
import { requiredNodeAffinityHolds } from '../../../../control-plane/scheduler/node-affinity.ts';
import type { ClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { type CommitParts, commit } from '../../../../control-plane/state/commit.ts';
import { followStore } from '../../../../control-plane/state/follow.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import type { Change } from '../../../../control-plane/state/snapshot.ts';
import { timestamp } from '../../../../lib/clock.ts';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import type { Log } from '../../../../lib/log.ts';
import { setCondition } from '../../../../lib/model/conditions.ts';
import { isDeleting } from '../../../../lib/model/object.ts';
import { isPodBound, isPodFinished, isPodReady } from '../../../../lib/model/pods.ts';
import type { Kind } from '../../../../lib/model/schema.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore, type MemoryStore } from '../../../../lib/store/memory.ts';
import type { Condition, Deployment, KindMap, KubeObject, Node, Pod, PodStatus } from '../../../../proto/gen/types.ts';

export interface Cluster {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly state: ClusterState;
  readonly problems: unknown[];
  create(...objects: KubeObject[]): Promise<void>;
  /** Reads, changes and writes until it lands, as a client would. */
  edit<K extends Kind>(kind: K, name: string, change: (object: KindMap[K]) => KindMap[K]): Promise<void>;
  remove(kind: Kind, name: string): Promise<void>;
  until(condition: () => boolean, what: string, limitMs?: number): Promise<void>;
  pods(): readonly Pod[];
  setNode(name: string, ready: Condition['status']): Promise<void>;
  /** Agents of these nodes do nothing. */
  readonly stoppedAgents: Set<string>;
  /** Pods with this image never become ready. */
  readonly brokenImages: Set<string>;
  /** Nor do these. */
  isBroken: (pod: Pod) => boolean;
  /** Pods with this image end so, with this exit code, when they have run. */
  readonly exitCodes: Map<string, (pod: Pod) => number>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly nodes?: number;
  readonly seed?: number;
  /** Longest time an agent takes over a pod. */
  readonly agentMs?: number;
  readonly evictionsPaused?: () => boolean;
  readonly podUsage?: UsageOf;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { nodes = 3, seed = 1, agentMs = 200 } = options;
  const clock = virtualClock();
  const random = seededRandom(seed);
  const store = createMemoryStore({ clock });
  const ending = new AbortController();
  const problems: unknown[] = [];
  const log: Log = {
    debug() {},
    info() {},
    warn() {},
    error: (fields) => void problems.push(fields),
    child: () => log,
  };
  const parts: CommitParts = { store, codec: plainCodec, clock, random };
  const state = followStore({ store, codec: plainCodec, clock, log, signal: ending.signal });
  const events = createEventRecorder({ store, clock, random, log });
  const stoppedAgents = new Set<string>();
  const brokenImages = new Set<string>();
  const exitCodes: Cluster['exitCodes'] = new Map();

  const write = async (decide: () => Change | undefined): Promise<void> => {
    for (;;) {
      const change = decide();
      if (!change) return;
      const result = await commit(parts, [change]);
      if (result.outcome === 'done') return state.waitFor(result.revision);
      await turn();
    }
  };
  const edit: Cluster['edit'] = (kind, name, change) =>
    write(() => {
      const object = find(kind, name);
      return object && { type: 'update', object: change(object) as KubeObject };
    });
  const find = <K extends Kind>(kind: K, name: string): KindMap[K] | undefined =>
    state.list(kind).find(({ metadata }) => metadata.name === name);

  let nextNode = 0;
  let nextIP = 2;
  /** What scheduler, agent and session do about a pod, one step. */
  const stepPod = (pod: Pod): Promise<void> | undefined => {
    const byName = (change: (pod: Pod) => Change | undefined): Promise<void> =>
      write(() => {
        const current = state.byUID(pod.metadata.uid ?? '') as Pod | undefined;
        return current && change(current);
      });
    if (!isPodBound(pod)) {
      const ready = state
        .list('Node')
        .filter((node) => (node.spec.taints ?? []).length === 0 && isNodeReady(node))
        .filter((node) => requiredNodeAffinityHolds(pod, node));
      if (isDeleting(pod) || ready.length === 0) return undefined;
      const node = ready[nextNode++ % ready.length]!;
      const podIP = `10.42.0.${nextIP++}`;
      return byName((object) => ({
        type: 'update',
        object: {
          ...object,
          spec: { ...object.spec, nodeName: node.metadata.name },
          status: { ...object.status, podIP, podIPs: [{ ip: podIP }], hostIP: '10.88.0.3' },
        },
      }));
    }
    if (stoppedAgents.has(pod.spec.nodeName ?? '')) return undefined;
    if (isDeleting(pod)) return byName((object) => ({ type: 'remove', object }));
    const [{ image, name } = { image: '', name: '' }] = pod.spec.containers;
    if (isPodFinished(pod) || brokenImages.has(image) || cluster.isBroken(pod)) return undefined;
    if (isPodReady(pod)) {
      const exitCode = exitCodes.get(image)?.(pod);
      if (exitCode === undefined) return undefined;
      const state = { terminated: { exitCode } };
      return byName((object) => {
        const ready = { type: 'Ready', status: 'False' as const, reason: 'PodCompleted' };
        const status: PodStatus = {
          ...object.status,
          phase: exitCode === 0 ? 'Succeeded' : 'Failed',
          conditions: setCondition(object.status?.conditions, ready, clock.nowMs()),
          containerStatuses: [{ name, state }],
        };
        return { type: 'update', object: { ...object, status } };
      });
    }
    return byName((object) =>
      isDeleting(object)
        ? undefined
        : {
            type: 'update',
            object: {
              ...object,
              status: {
                ...object.status,
                phase: 'Running',
                conditions: setCondition(object.status?.conditions, { type: 'Ready', status: 'True' }, clock.nowMs()),
              },
            },
          },
    );
  };
  const touched = new Set<string>();
  const touch = (pod: Pod): void => {
    const uid = pod.metadata.uid ?? '';
    if (touched.has(uid)) return;
    touched.add(uid);
    clock.schedule(isPodBound(pod) ? random.next() * agentMs : 0, () => {
      touched.delete(uid);
      const current = state.byUID(uid) as Pod | undefined;
      if (current)
        void stepPod(current)?.then(() => {
          const after = state.byUID(uid) as Pod | undefined;
          if (after) touch(after);
        });
    });
  };
  state.onChange((changes) => {
    for (const { object } of changes) {
      if (object?.kind === 'Pod') touch(object);
      if (object?.kind === 'Node') for (const pod of state.list('Pod')) touch(pod);
    }
  });

  const running = runControllers(
    {
      state,
      events,
      clock,
      random,
      log,
      signal: ending.signal,
      commit: (changes, owner) => commit({ ...parts, stored: (key) => state.byKey(key) }, changes, owner),
    },
    {
      mostPerTransaction: 100,
      lostForMs: (name) => (isLost(state.get('Node', undefined, name)!) ? 3_600_000 : undefined),
      evictionsPaused: () => options.evictionsPaused?.() === true,
      podUsage: options.podUsage ?? (() => undefined),
    },
  );
  const cluster: Cluster = {
    clock,
    store,
    state,
    problems,
    stoppedAgents,
    brokenImages,
    isBroken: () => false,
    exitCodes,
    edit,
    async create(...objects) {
      for (const object of objects) await write(() => ({ type: 'create', object }));
    },
    remove: (kind, name) =>
      write(() => {
        const object = find(kind, name);
        return object && { type: 'delete', object: object as KubeObject };
      }),
    until: (condition, what, limitMs = 60_000) => clock.until(condition, limitMs, what),
    pods: () => state.list('Pod'),
    async setNode(name, ready) {
      await edit('Node', name, (node) => withReady(node, ready, clock.nowMs()));
    },
    async stop() {
      await events.flush();
      ending.abort(new Error('the test is over'));
      await running;
      await store.close();
    },
  };
  await state.whenSynced();
  await cluster.create(
    namespace('default'),
    ...Array.from({ length: nodes }, (_, i) => newNode(`node-${i + 1}`, clock)),
  );
  return cluster;
}

export function namespace(name: string): KubeObject {
  const spec = { finalizers: ['gantry'] };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec, status: { phase: 'Active' } };
}

function newNode(name: string, clock: VirtualClock): Node {
  const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { podCIDR: '10.42.0.0/24' } };
  return withReady(node, 'True', clock.nowMs());
}

function withReady(node: Node, status: Condition['status'], nowMs: number): Node {
  const conditions = setCondition(node.status?.conditions, { type: 'Ready', status }, nowMs);
  return { ...node, status: { ...node.status, conditions } };
}

const isNodeReady = (node: Node): boolean =>
  node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

export function deployment(name: string, spec: Partial<Deployment['spec']> & { image?: string } = {}): Deployment {
  const { image = 'echo:1', ...rest } = spec;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'main', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
      },
      ...rest,
    },
  };
}

export function withImage(object: Deployment, image: string): Deployment {
  const [container] = object.spec.template.spec.containers;
  const spec = { ...object.spec.template.spec, containers: [{ ...container!, image }] };
  const generation = (object.metadata.generation ?? 1) + 1;
  return {
    ...object,
    metadata: { ...object.metadata, generation },
    spec: { ...object.spec, template: { ...object.spec.template, spec } },
  };
}

export { timestamp };
