/** A node with fakes all round: the real pod lifecycle on a virtual clock. */
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import type { Kind } from '../../../../lib/model/schema.ts';
import { noFencing, type PodFencing } from '../../../../node-agent/fencing/fencing.ts';
import { createFakeImageStore, createFakeRegistry, type FakeRegistry } from '../../../../node-agent/images/fake.ts';
import type { PodAttachment, PodNetwork } from '../../../../node-agent/network/network.ts';
import { createMemoryPodFiles, type MemoryPodFiles } from '../../../../node-agent/pods/pod-files-memory.ts';
import { createPods, type Pods } from '../../../../node-agent/pods/pods.ts';
import type { Answer, Check } from '../../../../node-agent/pods/prober.ts';
import {
  createFakeHost,
  type FakeHost,
  type FakeHostOptions,
  type FakeRuntime,
} from '../../../../node-agent/runtime/fake.ts';
import type { SliceChange, SliceReader } from '../../../../node-agent/session/slice.ts';
import type {
  ConfigMap,
  Container,
  Event,
  KubeObject,
  Pod,
  PodSpec,
  PodStatus,
  Secret,
} from '../../../../proto/gen/types.ts';

export interface TestSlice extends SliceReader {
  put(...objects: KubeObject[]): void;
  remove(kind: Kind, name: string): void;
  /** As before the first slice ever. */
  forget(): void;
}

export function createTestSlice(): TestSlice {
  const objects = new Map<string, KubeObject>();
  const listeners = new Set<(change: SliceChange) => void>();
  let revision = 0;
  const keyOf = (kind: string, name: string): string => `${kind}/${name}`;
  const changed = (touched: readonly KubeObject[]): void => {
    revision += 1;
    const uids = new Set<string>();
    for (const object of touched) {
      if (object.kind === 'Pod') uids.add(object.metadata.uid!);
      else for (const pod of objects.values()) if (pod.kind === 'Pod') uids.add(pod.metadata.uid!);
    }
    const change = { kinds: new Set(touched.map(({ kind }) => kind)), podUIDs: uids };
    for (const listener of [...listeners]) listener(change);
  };
  return {
    get: ((kind: Kind, _namespace: string | undefined, name: string) =>
      objects.get(keyOf(kind, name))) as SliceReader['get'],
    list: ((kind: Kind) => [...objects.values()].filter((object) => object.kind === kind)) as SliceReader['list'],
    get revision() {
      return revision === 0 ? undefined : String(revision);
    },
    onChange(callback) {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    put(...all) {
      for (const object of all) {
        const metadata = { ...object.metadata, resourceVersion: String(revision + 1) };
        objects.set(keyOf(object.kind, object.metadata.name), { ...object, metadata } as KubeObject);
      }
      changed(all);
    },
    forget() {
      objects.clear();
      revision = 0;
    },
    remove(kind, name) {
      const object = objects.get(keyOf(kind, name));
      objects.delete(keyOf(kind, name));
      if (object) changed([object]);
    },
  };
}

export interface TestNetwork extends PodNetwork {
  readonly attached: Map<string, PodAttachment>;
  failNext(operation: 'attach' | 'detach', error: Error): void;
}

function createTestNetwork(): TestNetwork {
  const attached = new Map<string, PodAttachment>();
  const failures = new Map<string, Error[]>();
  const enter = async (operation: string): Promise<void> => {
    const failure = failures.get(operation)?.shift();
    if (failure) throw failure;
  };
  return {
    attached,
    dnsIP: '169.254.20.10',
    failNext(operation, error) {
      failures.set(operation, [...(failures.get(operation) ?? []), error]);
    },
    async attach(attachment) {
      await enter('attach');
      attached.set(attachment.podUid, attachment);
    },
    async detach(podUid) {
      await enter('detach');
      attached.delete(podUid);
    },
    async retain(podUIDs) {
      for (const uid of attached.keys()) if (!podUIDs.has(uid)) attached.delete(uid);
    },
  };
}

export interface TestNode {
  readonly clock: VirtualClock;
  readonly host: FakeHost;
  readonly registry: FakeRegistry;
  readonly network: TestNetwork;
  readonly files: MemoryPodFiles;
  readonly slice: TestSlice;
  /** Newest status by pod name. */
  readonly statuses: Map<string, PodStatus>;
  readonly history: { readonly name: string; readonly status: PodStatus }[];
  readonly removed: string[];
  readonly events: Event[];
  /** What probes answer; default success. */
  answer: (check: Check) => Answer;
  pressure: string | undefined;
  /** Starts an agent over the same host; the former one must have been stopped or crashed. */
  startAgent(): Promise<void>;
  stopAgent(): Promise<void>;
  crashAgent(): void;
  status(name: string): PodStatus | undefined;
  isReady(name: string): boolean;
  pods(): Pods;
}

export const nodeName = 'node-1';

export interface TestNodeOptions extends Partial<FakeHostOptions> {
  readonly log?: Log;
  /** What the agents of this node, one after the other, may not do; default nothing. */
  readonly fencing?: (node: { readonly host: FakeHost; readonly clock: VirtualClock }) => () => PodFencing;
}

export function createTestNode(options: TestNodeOptions = {}): TestNode {
  const clock = virtualClock();
  const host = createFakeHost({ clock, ...options });
  const fencing = options.fencing?.({ host, clock }) ?? (() => noFencing);
  const registry = createFakeRegistry();
  registry.push('web:1', { config: { cmd: ['/bin/web'], env: ['PATH=/bin'] } });
  registry.push('web:2', { config: { cmd: ['/bin/web', '2'], env: ['PATH=/bin'] } });
  const images = createFakeImageStore({ clock, registry, pullMs: 20, inUse: host.imageInUse });
  const network = createTestNetwork();
  const files = createMemoryPodFiles();
  const slice = createTestSlice();
  let runtime: FakeRuntime | undefined;
  let pods: Pods | undefined;
  let generation = 0;

  const node: TestNode = {
    clock,
    host,
    registry,
    network,
    files,
    slice,
    statuses: new Map(),
    history: [],
    removed: [],
    events: [],
    answer: () => ({ success: true, message: 'fine' }),
    pressure: undefined,
    async startAgent() {
      generation += 1;
      const own = generation;
      runtime = host.runtime();
      pods = createPods({
        nodeName,
        runtime,
        images,
        network,
        files,
        slice,
        clock,
        log: options.log ?? silentLog,
        fencing: fencing(),
        prober: { ask: async (check) => node.answer(check) },
        sink: {
          pod({ name }, status) {
            if (own !== generation) return;
            node.statuses.set(name, status);
            node.history.push({ name, status });
          },
          removed({ name }) {
            if (own !== generation) return;
            node.removed.push(name);
            node.statuses.delete(name);
          },
          node() {},
          event: (event) => void node.events.push(event),
        },
        folders: { dataDir: '/data', runDir: '/run' },
        zone: 'cluster.local',
        nodeFiles: { resolvConf: () => 'nameserver 192.0.2.1\n', hosts: () => '127.0.0.1 localhost\n' },
        allocatable: () => ({ cpu: '2', memory: '4Gi' }),
        nodePressure: () => node.pressure,
      });
      await pods.start();
    },
    async stopAgent() {
      generation += 1;
      await pods?.stop();
      runtime?.detach();
    },
    crashAgent() {
      generation += 1;
      runtime?.detach();
      void pods?.stop();
    },
    status: (name) => node.statuses.get(name),
    isReady: (name) => node.statuses.get(name)?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True',
    pods: () => pods!,
  };
  return node;
}

let lastPod = 0;

export function testPod(name: string, spec: Partial<PodSpec> & { containers?: Container[] } = {}): Pod {
  lastPod += 1;
  const ip = `10.42.1.${lastPod % 250}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}-${lastPod}`, generation: 1 },
    spec: { containers: [testContainer('main')], restartPolicy: 'Always', nodeName, ...spec },
    status: {
      phase: 'Pending',
      podIP: ip,
      podIPs: [{ ip }],
      hostIP: '192.0.2.10',
      conditions: [{ type: 'PodScheduled', status: 'True' }],
    },
  };
}

export function testContainer(name: string, more: Partial<Container> = {}): Container {
  return { name, image: 'web:1', imagePullPolicy: 'IfNotPresent', ...more };
}

export function configMap(name: string, data: Record<string, string>): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default', uid: `uid-${name}` }, data };
}

export function secret(name: string, data: Record<string, string>): Secret {
  const encoded = Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default', uid: `uid-${name}` },
    data: encoded,
  };
}

export function markDeleted(pod: Pod, graceSeconds = 30): Pod {
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      deletionTimestamp: '2026-01-01T00:00:00Z',
      deletionGracePeriodSeconds: graceSeconds,
    },
  };
}
