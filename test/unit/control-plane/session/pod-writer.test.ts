/** What agents report is written together, whoever they are, and nothing of it is lost. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { FencedWriter } from '../../../../control-plane/session/fenced-write.ts';
import { createFencedWriter } from '../../../../control-plane/session/fenced-write.ts';
import { PodWriter } from '../../../../control-plane/session/pod-writer.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { silentLog } from '../../../../lib/log.ts';
import { keyOf, objectKey } from '../../../../lib/model/keys.ts';
import { createMemoryStore, type MemoryStore } from '../../../../lib/store/memory.ts';
import { absent, putOf } from '../../../../lib/store/store.ts';
import type { Pod, PodStatusUpdate } from '../../../../proto/gen/types.ts';

let store: MemoryStore;
let state: MutableClusterState;
let term: AbortController;
let pods: PodWriter;

beforeEach(() => {
  store = createMemoryStore({ clock: systemClock });
  state = new MutableClusterState();
  state.replace([], 1n);
  term = new AbortController();
  const leadership = {
    signal: term.signal,
    fence: absent('/gantry/other-leader'),
  } as unknown as FencedWriter['leadership'];
  const writer = createFencedWriter(store, leadership, systemClock);
  pods = new PodWriter(writer, { store, codec: plainCodec, snapshot: state, log: silentLog });
});

const podOf = (name: string, nodeName: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid: `uid-${name}` },
  spec: { nodeName, containers: [{ name: 'c', image: 'x' }] },
  status: { phase: 'Pending' },
});

/** In the store, and unless `unseen` in the mirror. */
async function put(pod: Pod, { unseen = false } = {}): Promise<void> {
  const key = keyOf(pod);
  const { revision } = await store.transact({ compare: [], success: [putOf(key, plainCodec.encode(pod))] });
  const metadata = { ...pod.metadata, resourceVersion: revision.toString() };
  if (!unseen) state.apply([{ key, object: { ...pod, metadata } }], revision);
}

const runs = (name: string, message = ''): PodStatusUpdate => ({
  namespace: 'default',
  name,
  uid: `uid-${name}`,
  status: { phase: 'Running', ...(message && { message }) },
});

async function stored(name: string): Promise<Pod | undefined> {
  const key = objectKey('Pod', 'default', name);
  const { kv } = await store.get(key);
  return kv && (plainCodec.decode(key, kv.value, kv.modRevision) as Pod);
}

describe('statuses of many nodes', () => {
  it('share transactions while some are under way', async () => {
    for (let i = 0; i < 120; i += 1) await put(podOf(`p${i}`, `n${i}`));
    const transact = vi.spyOn(store, 'transact');
    await Promise.all(Array.from({ length: 120 }, (_, i) => pods.write(`n${i}`, [runs(`p${i}`)])));
    expect(transact.mock.calls.length).toBeLessThanOrEqual(7); // the first four go at once, alone
    expect((await stored('p119'))?.status?.phase).toBe('Running');
  });

  it('of which one has lost a race are planned again, together', async () => {
    for (let i = 0; i < 10; i += 1) await put(podOf(`p${i}`, 'n'));
    const changed = podOf('p3', 'n');
    await put({ ...changed, metadata: { ...changed.metadata, labels: { by: 'another' } } }, { unseen: true });
    const get = vi.spyOn(store, 'get');
    const transact = vi.spyOn(store, 'transact');
    await pods.write(
      'n',
      Array.from({ length: 10 }, (_, i) => runs(`p${i}`)),
    );
    expect([transact.mock.calls.length, get.mock.calls.length]).toEqual([2, 0]);
    expect(await stored('p3')).toMatchObject({ metadata: { labels: { by: 'another' } }, status: { phase: 'Running' } });
    expect((await stored('p9'))?.status?.phase).toBe('Running');
  });

  it('of one pod are written in their order', async () => {
    await put(podOf('p', 'n'));
    const all = Array.from({ length: 12 }, (_, i) => pods.write('n', [runs('p', `state ${i}`)]));
    await Promise.all(all);
    expect((await stored('p'))?.status?.message).toBe('state 11');
  });

  it('arrive when the store was away, or its answer was lost', async () => {
    for (let i = 0; i < 5; i += 1) await put(podOf(`p${i}`, 'n'));
    store.loseAnswers(1);
    await pods.write('n', [runs('p0')]);
    store.setAvailable(false);
    const written = pods.write('n', [runs('p1'), runs('p2'), runs('p3'), runs('p4')]);
    setTimeout(() => store.setAvailable(true), 50);
    await written;
    for (let i = 0; i < 5; i += 1) expect((await stored(`p${i}`))?.status?.phase).toBe('Running');
  });

  it('are not taken from a node that the pod is not on, nor of a pod that is not there', async () => {
    await put(podOf('p', 'n'));
    await pods.write('elsewhere', [runs('p'), runs('gone')]);
    expect((await stored('p'))?.status?.phase).toBe('Pending');
    expect(await stored('gone')).toBeUndefined();
  });

  it('are refused once the term is over', async () => {
    await put(podOf('p', 'n'));
    term.abort();
    await expect(pods.write('n', [runs('p')])).rejects.toThrow(/does not lead any more/);
  });
});
