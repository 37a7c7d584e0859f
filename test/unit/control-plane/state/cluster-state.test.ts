import { describe, expect, it } from 'vitest';
import { MutableClusterState, type ObjectChange } from '../../../../control-plane/state/cluster-state.ts';
import { followStore } from '../../../../control-plane/state/follow.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { silentLog } from '../../../../lib/log.ts';
import { encodeObject } from '../../../../lib/model/codec.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { deleteOf, putOf } from '../../../../lib/store/store.ts';
import type { KubeObject, Pod } from '../../../../proto/gen/types.ts';

function pod(name: string, extra: { uid?: string; node?: string; owner?: string; version?: string } = {}): Pod {
  const { uid = `uid-${name}`, node, owner, version = '1' } = extra;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid,
      resourceVersion: version,
      ...(owner && { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: owner }] }),
    },
    spec: { containers: [{ name: 'main', image: 'busybox' }], ...(node && { nodeName: node }) },
  };
}

const update = (object: KubeObject): { key: string; object: KubeObject } => ({ key: keyOf(object), object });

describe('cluster state', () => {
  it('finds objects by kind, namespace, uid, owner and node', () => {
    const state = new MutableClusterState();
    const web = pod('web', { node: 'node-1', owner: 'rs-uid' });
    const other: Pod = { ...pod('other'), metadata: { ...pod('other').metadata, namespace: 'elsewhere' } };
    state.replace([update(web), update(other)], 5n);
    expect(state.get('Pod', 'default', 'web')).toBe(web);
    expect(state.list('Pod')).toEqual([web, other]);
    expect(state.list('Pod', 'elsewhere')).toEqual([other]);
    expect(state.list('Node')).toEqual([]);
    expect(state.byUID('uid-web')).toBe(web);
    expect(state.ownedBy('rs-uid')).toEqual([web]);
    expect(state.podsOnNode('node-1')).toEqual([web]);
    expect(state.revision).toBe(5n);
  });

  it('moves an object between indexes when it changes, and out of all when it goes', () => {
    const state = new MutableClusterState();
    state.replace([update(pod('web', { owner: 'rs-1' }))], 1n);
    const bound = pod('web', { node: 'node-2', owner: 'rs-2', version: '2' });
    state.apply([update(bound)], 2n);
    expect(state.ownedBy('rs-1')).toEqual([]);
    expect(state.ownedBy('rs-2')).toEqual([bound]);
    expect(state.podsOnNode('node-2')).toEqual([bound]);
    state.apply([{ key: keyOf(bound) }], 3n);
    expect(state.list('Pod')).toEqual([]);
    expect(state.byUID('uid-web')).toBeUndefined();
    expect(state.podsOnNode('node-2')).toEqual([]);
  });

  it('finds the workloads that roll out with a ConfigMap or Secret, those alone that asked for it', () => {
    const workload = (name: string, configMap: string, asks: boolean, version = '1'): KubeObject => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {
        name,
        namespace: 'default',
        uid: `uid-${name}`,
        resourceVersion: version,
        ...(asks && { annotations: { 'gantry.dev/rollout-on-config-change': 'true' } }),
      },
      spec: {
        selector: { matchLabels: { app: name } },
        template: {
          spec: {
            volumes: [{ name: 'v', secret: { secretName: 'credentials' } }],
            containers: [{ name: 'main', image: 'x', envFrom: [{ configMapRef: { name: configMap } }] }],
          },
        },
      },
    });
    const state = new MutableClusterState();
    const [web, silent] = [workload('web', 'settings', true), workload('silent', 'settings', false)];
    state.replace([update(web), update(silent)], 1n);
    expect(state.configuredBy('/gantry/configmaps/default/settings')).toEqual([web]);
    expect(state.configuredBy('/gantry/secrets/default/credentials')).toEqual([web]);
    expect(state.configuredBy('/gantry/configmaps/elsewhere/settings')).toEqual([]);
    const moved = workload('web', 'others', true, '2');
    state.apply([update(moved)], 2n);
    expect(state.configuredBy('/gantry/configmaps/default/settings')).toEqual([]);
    expect(state.configuredBy('/gantry/configmaps/default/others')).toEqual([moved]);
    state.apply([update(workload('web', 'others', false, '3'))], 3n);
    expect(state.configuredBy('/gantry/configmaps/default/others')).toEqual([]);
  });

  it('knows a new object under an old name by its uid', () => {
    const state = new MutableClusterState();
    state.replace([update(pod('web', { uid: 'first' }))], 1n);
    const second = pod('web', { uid: 'second', version: '3' });
    state.apply([{ key: keyOf(second) }, update(second)], 3n);
    expect(state.byUID('first')).toBeUndefined();
    expect(state.byUID('second')).toBe(second);
  });

  it('reports only differences of a new complete list', () => {
    const state = new MutableClusterState();
    const same = pod('same');
    const gone = pod('gone');
    state.replace([update(same), update(gone)], 1n);
    const seen: ObjectChange[] = [];
    state.onChange((changes) => seen.push(...changes));
    const added = pod('added', { version: '9' });
    state.replace([update({ ...same }), update(added)], 9n);
    expect(seen).toEqual([
      { key: keyOf(gone), previous: gone },
      { key: keyOf(added), object: added },
    ]);
    expect(state.get('Pod', 'default', 'same')).toBe(same);
  });

  it('shows a whole batch before it tells anyone', () => {
    const state = new MutableClusterState();
    state.replace([], 1n);
    let seen = 0;
    state.onChange(() => {
      seen = state.list('Pod').length;
      expect(state.revision).toBe(4n);
    });
    state.apply([update(pod('a')), update(pod('b'))], 4n);
    expect(seen).toBe(2);
  });

  it('lets one wait for a revision', async () => {
    const state = new MutableClusterState();
    const order: string[] = [];
    const waiting = state.waitFor(3n).then(() => order.push('reached'));
    const aborted = new AbortController();
    const abandoned = state.waitFor(100n, aborted.signal);
    state.replace([], 2n);
    await state.whenSynced().then(() => order.push('synced'));
    state.apply([], 3n);
    await waiting;
    expect(order).toEqual(['synced', 'reached']);
    aborted.abort(new Error('enough'));
    await expect(abandoned).rejects.toThrow('enough');
  });
});

describe('following the store', () => {
  it('shows what is there, what comes and what goes, and keys that are no objects apart', async () => {
    const store = createMemoryStore({ clock: systemClock });
    const put = (object: KubeObject) =>
      store.transact({ compare: [], success: [putOf(keyOf(object), encodeObject(object))] });
    await put(pod('first'));
    const ending = new AbortController();
    const state = followStore({ store, codec: plainCodec, clock: systemClock, log: silentLog, signal: ending.signal });
    await state.whenSynced();
    expect(state.get('Pod', 'default', 'first')?.metadata.resourceVersion).toBe('2');
    await put(pod('second'));
    const address = '/gantry/allocations/pod-ips/10.42.0.2';
    await store.transact({ compare: [], success: [putOf(address, new TextEncoder().encode('uid-second'))] });
    const last = await store.transact({ compare: [], success: [deleteOf(keyOf(pod('first')))] });
    await state.waitFor(last.revision);
    expect(state.list('Pod').map(({ metadata }) => metadata.name)).toEqual(['second']);
    expect(state.others('/gantry/allocations/').map(({ key }) => key)).toEqual([address]);
    ending.abort();
    await state.finished;
  });

  it('treats bytes that it cannot read as absent and carries on', async () => {
    const store = createMemoryStore({ clock: systemClock });
    const errors: object[] = [];
    const log = { ...silentLog, error: (fields: object) => void errors.push(fields) };
    const key = '/gantry/pods/default/broken';
    await store.transact({ compare: [], success: [putOf(key, Uint8Array.of(0xff, 0xff, 0xff))] });
    await store.transact({ compare: [], success: [putOf(keyOf(pod('good')), encodeObject(pod('good')))] });
    const ending = new AbortController();
    const state = followStore({ store, codec: plainCodec, clock: systemClock, log, signal: ending.signal });
    await state.whenSynced();
    expect(state.list('Pod').map(({ metadata }) => metadata.name)).toEqual(['good']);
    expect(errors).toMatchObject([{ key }]);
    ending.abort();
    await state.finished;
  });
});
