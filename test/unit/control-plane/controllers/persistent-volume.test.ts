/** Claims find their volumes, both sides say the same, and nothing goes that is in use. */
import { describe, expect, it } from 'vitest';
import { reconcileClaim } from '../../../../control-plane/controllers/persistent-volume/claim.ts';
import { persistentVolumeController } from '../../../../control-plane/controllers/persistent-volume/controller.ts';
import { reconcileVolume } from '../../../../control-plane/controllers/persistent-volume/volume.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import type { ReconcileResult } from '../../../../control-plane/state/snapshot.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { claimProtection, volumeProtection } from '../../../../lib/model/storage.ts';
import type {
  KubeObject,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '../../../../proto/gen/types.ts';
import { node, pod } from '../scheduler/objects.ts';

const claimOf = (spec: object = {}, parts: object = {}): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'default', uid: 'claim', resourceVersion: '1', finalizers: [claimProtection] },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  status: { phase: 'Pending' },
  ...parts,
});
const going = (object: PersistentVolumeClaim): PersistentVolumeClaim => ({
  ...object,
  metadata: { ...object.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
});
const volumeOf = (spec: object = {}, parts: object = {}): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'pv', uid: 'volume', resourceVersion: '1', finalizers: [volumeProtection] },
  spec: { capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/srv' }, ...spec },
  status: { phase: 'Available' },
  ...parts,
});
const classOf = (
  name: string,
  volumeBindingMode: StorageClass['volumeBindingMode'],
  isDefault = false,
): StorageClass => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name, uid: name, annotations: { 'storageclass.kubernetes.io/is-default-class': String(isDefault) } },
  provisioner: 'kubernetes.io/no-provisioner',
  ...(volumeBindingMode && { volumeBindingMode }),
});
const reference = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'default', name: 'data', uid: 'claim' };
const boundVolume = volumeOf({ claimRef: reference }, { status: { phase: 'Bound' } });
const boundClaim = claimOf(
  { volumeName: 'pv' },
  { status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' } } },
);
const user = (phase: 'Running' | 'Succeeded' = 'Running'): Pod => ({
  ...pod('web', {
    spec: { nodeName: 'n', volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] },
  }),
  status: { phase },
});

function pictureOf(...objects: KubeObject[]): MutableClusterState {
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  return state;
}
const reasonsOf = ({ events = [] }: ReconcileResult): string[] => events.map(({ reason }) => reason);

describe('a claim', () => {
  const look = (claim: PersistentVolumeClaim, ...others: KubeObject[]) =>
    reconcileClaim(pictureOf(claim, ...others), claim);

  it('is bound to a volume that suits it, both written together', () => {
    expect(look(claimOf(), volumeOf()).changes).toEqual([
      { type: 'update', object: boundVolume },
      { type: 'update', object: boundClaim },
    ]);
  });

  it('says that there is none', () => {
    const result = look(claimOf(), volumeOf({ capacity: { storage: '1Mi' } }));
    expect(result.changes).toEqual([]);
    expect(reasonsOf(result)).toEqual(['FailedBinding']);
  });

  it('has the default class when it names none, and no class when it says so', () => {
    const classes = [classOf('slow', 'Immediate'), classOf('fast', 'Immediate', true)];
    const [change] = look(claimOf(), ...classes, volumeOf()).changes;
    expect(change?.object).toMatchObject({ kind: 'PersistentVolumeClaim', spec: { storageClassName: 'fast' } });
    expect(look(claimOf({ storageClassName: '' }), ...classes, volumeOf()).changes).toHaveLength(2);
  });

  it('waits for its first consumer, unless a volume is kept for it', () => {
    const late = classOf('late', 'WaitForFirstConsumer');
    const claim = claimOf({ storageClassName: 'late' });
    const free = volumeOf({ storageClassName: 'late' });
    expect(reasonsOf(look(claim, late, free))).toEqual(['WaitForFirstConsumer']);
    expect(look(claim, late, free).changes).toEqual([]);
    const { uid: _uid, ...named } = reference;
    expect(look(claim, late, volumeOf({ storageClassName: 'late', claimRef: named })).changes).toHaveLength(2);
  });

  it('that names a volume gets that one or none', () => {
    const named = claimOf({ volumeName: 'pv' });
    expect(look(named, volumeOf()).changes).toHaveLength(2);
    expect(reasonsOf(look(named))).toEqual(['FailedBinding']);
    const taken = volumeOf({ claimRef: { ...reference, name: 'other', uid: 'other' } });
    expect(look(named, taken).changes).toEqual([]);
    expect(reasonsOf(look(named, taken))).toEqual(['FailedBinding']);
  });

  it('that is bound is left alone, and lost when its volume is', () => {
    expect(look(boundClaim, boundVolume)).toEqual({ changes: [] });
    const lost = look(boundClaim);
    expect(lost.changes[0]?.object).toMatchObject({ status: { phase: 'Lost' } });
    expect(reasonsOf(lost)).toEqual(['ClaimLost']);
  });

  it('goes though the next pod waits for it: on no node yet, it waits for another claim of the name', () => {
    const { nodeName: _none, ...spec } = user().spec;
    const waiting: Pod = { ...user(), spec, status: { phase: 'Pending' } };
    expect(look(going(boundClaim), boundVolume, waiting).changes).toMatchObject([{ type: 'remove' }]);
  });

  it('goes when no pod uses it any more', () => {
    expect(look(going(boundClaim), boundVolume, user()).changes).toEqual([]);
    for (const rest of [[], [user('Succeeded')]]) {
      const [change] = look(going(boundClaim), boundVolume, ...rest).changes;
      expect(change).toMatchObject({ type: 'remove', object: { metadata: { name: 'data', finalizers: [] } } });
    }
  });
});

describe('a volume', () => {
  const provisioned = {
    local: { path: 'volumes/pvc-claim' },
    persistentVolumeReclaimPolicy: 'Delete',
    hostPath: undefined,
  };
  const required = {
    nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In' as const, values: ['n1'] }] },
    ],
  };
  const look = (volume: PersistentVolume, ...others: KubeObject[]) =>
    reconcileVolume(pictureOf(volume, ...others), volume);
  const phaseAfter = (result: ReconcileResult) => (result.changes[0]!.object as PersistentVolume).status?.phase;

  it('is available, bound, released', () => {
    expect(phaseAfter(look(volumeOf({}, { status: {} })))).toBe('Available');
    expect(phaseAfter(look({ ...boundVolume, status: {} }, boundClaim))).toBe('Bound');
    expect(phaseAfter(look(boundVolume))).toBe('Released');
    expect(look(boundVolume, boundClaim).changes).toEqual([]);
  });

  it('of a claim that was made again is not that one’s', () => {
    const again = { ...boundClaim, metadata: { ...boundClaim.metadata, uid: 'again' } };
    expect(phaseAfter(look(boundVolume, again))).toBe('Released');
  });

  it('that is being deleted stays while it is bound', () => {
    const deleted = {
      ...boundVolume,
      metadata: { ...boundVolume.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    };
    expect(look(deleted, boundClaim).changes).toEqual([]);
    expect(look(deleted).changes).toMatchObject([{ type: 'remove', object: { metadata: { finalizers: [] } } }]);
  });

  it('with a directory to remove stays until its agent has done so, or its node has left', () => {
    const spec = { ...provisioned, claimRef: reference, nodeAffinity: { required } };
    const volume = volumeOf(spec, { status: { phase: 'Released' } });
    const there = node('n1', { labels: { 'kubernetes.io/hostname': 'n1' } });
    expect(look(volume, there)).toEqual({ changes: [] });
    const deleted = { ...volume, metadata: { ...volume.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    expect(look(deleted, there).changes).toEqual([]);
    const left = look(volume, node('n2', { labels: { 'kubernetes.io/hostname': 'n2' } }));
    expect(left.changes).toMatchObject([{ type: 'delete', object: { metadata: { finalizers: [] } } }]);
    expect(reasonsOf(left)).toEqual(['VolumeLost']);
    const held = { ...volume, metadata: { ...volume.metadata, finalizers: [volumeProtection, 'backup'] } };
    const kept = look(held).changes;
    expect(kept).toMatchObject([{ type: 'delete', object: { metadata: { finalizers: ['backup'] } } }]);
  });
});

it('whoever may be concerned is looked at', () => {
  const waiting = claimOf({ storageClassName: 'late' }, { metadata: { ...claimOf().metadata, name: 'waiting' } });
  const state = pictureOf(waiting, going(boundClaim), boundVolume);
  const keysOf = (object: KubeObject): string[] => [
    ...persistentVolumeController.keysOf({ key: keyOf(object), object }, state),
  ];
  expect(keysOf(boundClaim)).toEqual([keyOf(boundClaim), keyOf(boundVolume)]);
  expect(keysOf(volumeOf())).toContain(keyOf(waiting));
  expect(keysOf(classOf('late', 'Immediate'))).toEqual([keyOf(waiting)]);
  expect(keysOf(user())).toEqual([keyOf(boundClaim)]);
});
