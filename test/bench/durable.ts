/**
 * `npm run bench -- durable [--pods N]`: pods created, bound and seen by a watcher, through a real control plane and its
 * real etcd with fsync, per second; beside what the same etcd takes when it is only given the same bytes.
 *
 * The path is that of production: Deployments are applied through the API; the controllers make the pods; the scheduler
 * binds them; a watcher over gRPC with mutual TLS counts them. There are nodes but no agents: nothing runs.
 *
 * etcd's own limit, in the same run: puts of what the run has stored for each pod (as created, as bound, and its address),
 * batched and pipelined as the control plane does it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { podIPKey } from '../../lib/model/allocations.ts';
import { encodeObject, fromEnvelope } from '../../lib/model/codec.ts';
import { keyOf } from '../../lib/model/keys.ts';
import { pkiFolder } from '../../lib/pki/cluster-pki.ts';
import { createEtcdStore } from '../../lib/store/etcd.ts';
import { deletePrefixOf, type Operation, putOf, type Store } from '../../lib/store/store.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { node } from '../unit/control-plane/scheduler/objects.ts';
import { apply, sleepers } from './cluster.ts';
import { phasesOf } from './durable-phases.ts';
import { cpuSeconds } from './hollow/machine.ts';
import { Plane } from './hollow/plane.ts';
import type { Report } from './report.ts';

const bench = 'durable';
const nodes = 250;
const deployments = 20;
const timeoutMs = 300_000;
const peerName = 'etcd alone';
const peerPrefix = '/bench/';
/** As many puts and as many at once as the control plane has them under way. */
const peerBatch = 300;
const peerAtOnce = 4;

export async function run(report: Report, { pods = 20_000 }: { readonly pods?: number } = {}): Promise<void> {
  await withPlane(false, (plane, store) => measureAll(report, plane, store, pods));
  // A profile costs time itself, so it is taken of a run of its own.
  await withPlane(true, async (plane) => {
    const profiler = plane.profiler!;
    await profiler.start();
    await measure(plane, 'many', pods, deployments);
    await profiler.stop();
    for (const { phase, share } of phasesOf(profiler.profiles[0]!)) {
      report({ bench, metric: `control plane's thread: ${phase}`, value: 100 * share, unit: '%' });
    }
  });
}

async function withPlane(profile: boolean, body: (plane: Plane, store: Store) => Promise<void>): Promise<void> {
  const plane = await Plane.start({ nodeLeaseMs: 900_000, profile });
  const store = storeOf(plane);
  try {
    await addNodes(store);
    await measure(plane, 'warm-up', 2_000, 4);
    await body(plane, store);
  } finally {
    await store.close();
    await plane.remove();
  }
}

async function measureAll(report: Report, plane: Plane, store: Store, pods: number): Promise<void> {
  const before = { plane: plane.cpuSeconds(), etcd: cpuSeconds(plane.etcdPid!), watcher: ownCpuSeconds() };
  const { revision } = await store.status();
  const many = await measure(plane, 'many', pods, deployments);
  const transactions = Number((await store.status()).revision - revision);
  const cpu = {
    'control plane': plane.cpuSeconds() - before.plane,
    etcd: cpuSeconds(plane.etcdPid!) - before.etcd,
    watcher: ownCpuSeconds() - before.watcher,
  };
  const one = await measure(plane, 'one', pods >> 1, 1);
  const peer = { name: peerName, value: await etcdAlone(store, many.pods) };
  const perSecond = (count: number, ms: number): number => (count / ms) * 1000;
  report({
    bench,
    metric: `created, bound and seen by a watcher: ${pods} pods of ${deployments} Deployments`,
    value: perSecond(pods, many.tookMs),
    unit: 'pods/s',
    peer,
    target: { bound: '>=', value: 5_000 },
  });
  report({
    bench,
    metric: `created, bound and seen by a watcher: ${pods >> 1} pods of one Deployment`,
    value: perSecond(pods >> 1, one.tookMs),
    unit: 'pods/s',
    peer,
  });
  report({ bench, metric: 'of the first: until the last was seen created', value: many.createdMs, unit: 'ms' });
  report({ bench, metric: 'of the first: until the last was seen bound', value: many.tookMs, unit: 'ms' });
  report({ bench, metric: 'transactions of etcd', value: transactions, unit: `for ${pods} pods` });
  for (const [process, seconds] of Object.entries(cpu)) {
    report({ bench, metric: `processor time of the ${process}`, value: (seconds / pods) * 1e6, unit: 'us/pod' });
  }
}

function storeOf({ folder, etcdAddress }: Plane): Store {
  const read = (file: string): Buffer => readFileSync(join(pkiFolder(join(folder, 'data')), file));
  const tls = { ca: read('etcd-ca.crt'), cert: read('etcd-client.crt'), key: read('etcd-client.key') };
  return createEtcdStore({ endpoints: [etcdAddress], tls, clock: systemClock, maxOperations: 4096, timeoutMs: 30_000 });
}

/** Ready for as long as the lease that a new node is given. */
async function addNodes(store: Store): Promise<void> {
  const made = Array.from({ length: nodes }, (_, i) =>
    node(`bench-${i}`, { cpu: '64', memory: '256Gi', pods: '250', spec: { podCIDR: `10.64.${i}.0/24` } }),
  );
  await store.transact({ compare: [], success: made.map((object) => putOf(keyOf(object), encodeObject(object))) });
}

/** From the first apply until the watcher has seen the last pod bound. */
async function measure(plane: Plane, name: string, pods: number, workloads: number) {
  const { cluster } = plane;
  const each = Math.floor(pods / workloads);
  const bound = new Map<string, Pod>();
  const stop = new AbortController();
  const deadline = systemClock.schedule(timeoutMs, () => stop.abort(new Error(`not bound within ${timeoutMs} ms`)));
  const { resourceVersion = '' } = await cluster.List({ kind: 'Pod', namespace: 'default', limit: 1 });
  const startMs = systemClock.monotonicMs();
  let createdMs = 0;
  const applied = Promise.all(
    Array.from({ length: workloads }, (_, i) => apply(cluster, sleepers(`${name}-${i}`, each))),
  );
  try {
    const watch = cluster.Watch(
      { kind: 'Pod', namespace: 'default', resourceVersion, together: true },
      { signal: stop.signal },
    );
    for await (const { following = [], ...first } of watch) {
      for (const { type, object } of [first, ...following]) {
        const pod = fromEnvelope(object);
        if (type === 'ADDED') createdMs = systemClock.monotonicMs() - startMs;
        if (pod?.kind === 'Pod' && pod.spec.nodeName !== undefined) bound.set(pod.metadata.uid!, pod);
      }
      if (bound.size >= each * workloads) break;
    }
    const tookMs = systemClock.monotonicMs() - startMs;
    if (bound.size < each * workloads) throw new Error(`the watch ended after ${bound.size} pods`);
    return { tookMs, createdMs, pods: [...bound.values()] };
  } finally {
    deadline.cancel();
    stop.abort(new Error('seen'));
    await applied;
  }
}

/** Pods a second whose bytes etcd takes when nobody thinks about them. */
async function etcdAlone(store: Store, pods: readonly Pod[]): Promise<number> {
  const puts = pods.flatMap((pod): Operation[] => {
    const { nodeName: _bound, ...spec } = pod.spec;
    const created = encodeObject({ ...pod, spec, status: { phase: 'Pending' } });
    return [
      putOf(`${peerPrefix}created${keyOf(pod)}`, created),
      putOf(`${peerPrefix}bound${keyOf(pod)}`, encodeObject(pod)),
      putOf(`${peerPrefix}address${podIPKey(pod.status!.podIP!)}`, Buffer.from(pod.metadata.uid!)),
    ];
  });
  const batches = Array.from({ length: Math.ceil(puts.length / peerBatch) }, (_, i) =>
    puts.slice(i * peerBatch, (i + 1) * peerBatch),
  );
  const startMs = systemClock.monotonicMs();
  const work = async (): Promise<void> => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      await store.transact({ compare: [], success: batch });
    }
  };
  await Promise.all(Array.from({ length: peerAtOnce }, work));
  const tookMs = systemClock.monotonicMs() - startMs;
  await store.transact({ compare: [], success: [deletePrefixOf(peerPrefix)] });
  return (pods.length / tookMs) * 1000;
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
