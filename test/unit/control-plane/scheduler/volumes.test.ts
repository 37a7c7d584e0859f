/** Where pods with claims can go, and what is bound together with them. */
import { describe, expect, it } from 'vitest';
import { pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import {
  affinityConflict,
  noVolumeThere,
  volumeBinding,
  withVolumes,
} from '../../../../control-plane/scheduler/volumes.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { decodeObject } from '../../../../lib/model/codec.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type {
  KubeObject,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../../../proto/gen/types.ts';
import { node, pod } from './objects.ts';

const nodeOf = (name: string): Node => node(name, { labels: { 'kubernetes.io/hostname': name } });
const nodes = [nodeOf('n1'), nodeOf('n2'), nodeOf('n3')];
const claimOf = (name: string, spec: object = {}): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '7' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  status: { phase: 'Pending' },
});
const volumeOf = (name: string, nodeName: string, spec: object = {}): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name, uid: `uid-${name}`, resourceVersion: '8' },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    local: { path: `/mnt/${name}` },
    storageClassName: 'late',
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] },
        ],
      },
    },
    ...spec,
  },
  status: { phase: 'Available' },
});
const boundTo = (volume: PersistentVolume, claim: PersistentVolumeClaim): KubeObject[] => {
  const { name, namespace, uid } = claim.metadata;
  const claimRef = { name, ...(namespace && { namespace }), ...(uid && { uid }) };
  return [
    { ...volume, spec: { ...volume.spec, claimRef }, status: { phase: 'Bound' } },
    { ...claim, spec: { ...claim.spec, volumeName: volume.metadata.name }, status: { phase: 'Bound' } },
  ];
};
const classOf = (name: string, provisioner: StorageClass['provisioner'], isDefault = false): StorageClass => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name, uid: name, annotations: { 'storageclass.kubernetes.io/is-default-class': String(isDefault) } },
  provisioner,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
});
const late = classOf('late', 'kubernetes.io/no-provisioner');
const local = classOf('local', 'gantry.dev/local', true);
const podWith = (name: string, ...claims: string[]): Pod =>
  pod(name, {
    spec: {
      volumes: claims.map((claimName, index) => ({ name: `v${index}`, persistentVolumeClaim: { claimName } })),
    },
  });

function decide(pods: readonly Pod[], ...objects: KubeObject[]) {
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  const { ready, refused } = withVolumes(pods, state);
  const decision = schedule(ready, pictureOf(nodes, []), {
    defaultStrategy: 'least-loaded',
    state: { random: seededRandom(1), lastTurn: '' },
  });
  return { ...decision, refused };
}

describe('a pod with claims', () => {
  it('goes where its bound volumes are, and nowhere else', () => {
    const { bindings } = decide([podWith('a', 'data')], ...boundTo(volumeOf('pv', 'n2'), claimOf('data')));
    expect(bindings.map(({ node: { metadata } }) => metadata.name)).toEqual(['n2']);
    const apart = [...boundTo(volumeOf('p1', 'n1'), claimOf('one')), ...boundTo(volumeOf('p2', 'n2'), claimOf('two'))];
    const { unschedulable } = decide([podWith('a', 'one', 'two')], ...apart);
    expect(unschedulable[0]?.message).toBe(`0/3 nodes fit: 3 ${affinityConflict}`);
  });

  it('goes anywhere with a volume that is everywhere', () => {
    const shared = volumeOf('nfs', 'n1', { nodeAffinity: undefined });
    expect(decide([podWith('a', 'data')], ...boundTo(shared, claimOf('data'))).bindings).toHaveLength(1);
  });

  it('waits for claims that are not there, or that somebody else binds', () => {
    const messages = (...objects: KubeObject[]) =>
      decide([podWith('a', 'data')], ...objects).refused.map(({ message }) => message);
    expect(messages()).toEqual(['persistentvolumeclaim "data" not found; create it']);
    expect(messages(claimOf('data'))[0]).toContain('pod has unbound immediate PersistentVolumeClaims: data');
    const lost = { ...claimOf('data', { volumeName: 'gone' }), status: { phase: 'Lost' } };
    expect(messages(lost)[0]).toContain('has lost its volume gone');
    const deleted = claimOf('data');
    deleted.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    expect(messages(deleted)[0]).toContain('is being deleted');
  });

  it('of a class that waits goes where there is a free volume, each volume once', () => {
    const claims = ['one', 'two'].map((name) => claimOf(name, { storageClassName: 'late' }));
    const alone = [volumeOf('a1', 'n1'), volumeOf('b1', 'n2'), volumeOf('b2', 'n2')];
    const { bindings } = decide([podWith('a', 'one', 'two')], late, ...claims, ...alone);
    expect(bindings.map(({ node: { metadata } }) => metadata.name)).toEqual(['n2']);
    const { unschedulable } = decide([podWith('a', 'one', 'two')], late, ...claims, ...alone.slice(0, 2));
    expect(unschedulable[0]?.message).toBe(`0/3 nodes fit: 3 ${noVolumeThere}`);
  });
});

describe('what is bound together with a pod', () => {
  const written = (pods: readonly Pod[], ...objects: KubeObject[]) => {
    const [binding] = decide(pods, ...objects).bindings;
    const made = volumeBinding(binding!.pod, binding!.node, 0, () => 'new-uid')!;
    const puts = made.success.flatMap((step) =>
      step.kind === 'put'
        ? [decodeObject(step.key.includes('claims') ? 'PersistentVolumeClaim' : 'PersistentVolume', step.value)]
        : [],
    );
    return { ...made, puts, nodeName: binding!.node.metadata.name };
  };
  const boundIn = (one: Pod) => one.spec.volumes?.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.bound);

  it('is nothing when all is bound already: the pod learns where, unless the claim is deleted meanwhile', () => {
    const made = written([podWith('a', 'data')], ...boundTo(volumeOf('pv', 'n2'), claimOf('data')));
    expect(made.compare).toMatchObject([
      { key: '/gantry/persistentvolumeclaims/default/data', target: 'mod', value: 7n },
    ]);
    expect(made.success).toEqual([]);
    expect(boundIn(made.pod)).toEqual([{ volumeName: 'pv', path: '/mnt/pv', pathType: 'Directory' }]);
  });

  it('is a volume of that node that is there, at the revisions that were read', () => {
    const made = written(
      [podWith('a', 'data')],
      late,
      claimOf('data', { storageClassName: 'late' }),
      volumeOf('pv', 'n3'),
    );
    expect(made.nodeName).toBe('n3');
    expect(made.compare).toMatchObject([
      { key: '/gantry/persistentvolumes/pv', target: 'mod', value: 8n },
      { key: '/gantry/persistentvolumeclaims/default/data', target: 'mod', value: 7n },
    ]);
    expect(made.puts).toMatchObject([
      { metadata: { name: 'pv' }, spec: { claimRef: { name: 'data', uid: 'uid-data' } }, status: { phase: 'Bound' } },
      { spec: { volumeName: 'pv' }, status: { phase: 'Bound', capacity: { storage: '1Gi' } } },
    ]);
  });

  it('is a new volume of that node for the local provisioner, also of the default class', () => {
    for (const spec of [{ storageClassName: 'local' }, {}]) {
      const made = written([podWith('a', 'data')], local, claimOf('data', spec));
      const [volume, claim] = made.puts as [PersistentVolume, PersistentVolumeClaim];
      expect(made.compare[0]).toMatchObject({ key: '/gantry/persistentvolumes/pvc-uid-data', value: 0n });
      expect(volume).toMatchObject({
        metadata: { name: 'pvc-uid-data', uid: 'new-uid', finalizers: ['kubernetes.io/pv-protection'] },
        spec: {
          local: { path: 'volumes/pvc-uid-data' },
          capacity: { storage: '1Gi' },
          persistentVolumeReclaimPolicy: 'Delete',
          nodeAffinity: {
            required: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', values: [made.nodeName] }] }],
            },
          },
        },
      });
      expect(claim.spec).toMatchObject({ volumeName: 'pvc-uid-data', storageClassName: 'local' });
      expect(boundIn(made.pod)).toEqual([
        { volumeName: 'pvc-uid-data', path: 'volumes/pvc-uid-data', pathType: 'DirectoryOrCreate' },
      ]);
    }
  });
});
