/** Persistent volumes, claims and classes: defaults, what is refused, and which volume suits which claim. */
import { describe, expect, it } from 'vitest';
import { checkManifest } from '../../../../lib/model/check.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { problemLine } from '../../../../lib/model/manifest.ts';
import { suitableVolumes } from '../../../../lib/model/storage.ts';
import { validate } from '../../../../lib/model/validation.ts';
import type {
  KubeObject,
  PersistentVolume,
  PersistentVolumeClaim,
  StatefulSet,
  StorageClass,
} from '../../../../proto/gen/types.ts';

const term = { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node-1'] }] };
const nodeAffinity = { required: { nodeSelectorTerms: [term] } };
const size = (storage: string): object => ({ requests: { storage } });

const volume = (spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'pv', ...metadata },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    local: { path: '/mnt/a' },
    nodeAffinity,
    ...spec,
  },
});
const claim = (spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'default', ...metadata },
  spec: { accessModes: ['ReadWriteOnce'], resources: size('1Gi'), ...spec },
});
const storageClass = (parts: object = {}) => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'fast' },
  provisioner: 'gantry.dev/local',
  ...parts,
});
const podWith = (claimVolume: object, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: {
    containers: [{ name: 'c', image: 'i:1' }],
    volumes: [{ name: 'v', persistentVolumeClaim: claimVolume }],
    ...spec,
  },
});
const statefulSet = (templates: readonly object[], podSpec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 's' },
  spec: {
    serviceName: 's',
    selector: { matchLabels: { a: 'b' } },
    template: {
      metadata: { labels: { a: 'b' } },
      spec: {
        containers: [{ name: 'c', image: 'i:1', volumeMounts: [{ name: 'data', mountPath: '/d' }] }],
        ...podSpec,
      },
    },
    volumeClaimTemplates: templates,
  },
});
const template = (name = 'data') => ({ metadata: { name }, spec: claim().spec });
const linesOf = (value: unknown): string => checkManifest(value).problems.map(problemLine).join('\n');

describe('is taken', () => {
  it.each([
    volume(),
    volume({ local: undefined, nodeAffinity: undefined, hostPath: { path: '/srv' } }),
    volume({ claimRef: { namespace: 'default', name: 'data' }, mountOptions: [] }),
    claim({ storageClassName: '', selector: { matchLabels: { a: 'b' } } }),
    storageClass(),
    storageClass({ allowVolumeExpansion: false, parameters: {} }),
    podWith({ claimName: 'data', readOnly: true }),
    statefulSet([template()]),
  ])('%j', (value) => expect(linesOf(value)).toBe(''));
});

describe('is refused', () => {
  const cases: readonly [object, RegExp][] = [
    [volume({ capacity: {} }), /^spec\.capacity\.storage: required/],
    [volume({ capacity: { storage: '0' } }), /^spec\.capacity\.storage: must be more than 0/],
    [volume({ accessModes: [] }), /^spec\.accessModes: required/],
    [volume({ accessModes: ['ReadWriteOncePod'] }), /^not supported: spec\.accessModes\[0\]: ReadWriteOncePod/],
    [volume({ hostPath: { path: '/a' } }), /^spec: has local and hostPath/],
    [volume({ local: undefined }), /^spec: needs one of local, hostPath/],
    [volume({ nodeAffinity: undefined }), /^spec\.nodeAffinity: required with local/],
    [volume({ local: { path: 'volumes/x' } }), /^spec\.local\.path: .*must begin with/],
    [volume({ local: { path: '/a/../b' } }), /^spec\.local\.path: .*must not contain/],
    [volume({ persistentVolumeReclaimPolicy: 'Delete' }), /^spec\.persistentVolumeReclaimPolicy: .*use Retain/],
    [volume({ csi: { driver: 'x' } }), /^not supported: spec\.csi, because/],
    [volume({ volumeMode: 'Block' }), /^not supported: spec\.volumeMode: Block/],
    [volume({ claimRef: { name: 'x' } }), /^spec\.claimRef: needs the namespace/],
    [claim({ accessModes: undefined }), /^spec\.accessModes: required/],
    [claim({ resources: {} }), /^spec\.resources(\.requests\.storage)?: required/],
    [claim({ resources: { requests: { cpu: '1', storage: '1' } } }), /requests\.cpu: only storage/],
    [claim({ dataSource: { kind: 'VolumeSnapshot', name: 'x' } }), /^not supported: spec\.dataSource, because/],
    [storageClass({ provisioner: 'ebs.csi.aws.com' }), /^provisioner: .*gantry\.dev\/local/],
    [storageClass({ volumeBindingMode: 'Immediate' }), /^volumeBindingMode: .*use WaitForFirstConsumer/],
    [storageClass({ allowVolumeExpansion: true }), /^not supported: allowVolumeExpansion/],
    [storageClass({ parameters: { type: 'ssd' } }), /^not supported: parameters/],
    [podWith({}), /persistentVolumeClaim\.claimName: required/],
    [podWith({ claimName: 'a', bound: { volumeName: 'v', path: '/etc' } }), /bound: is written by the scheduler/],
    [podWith({ claimName: 'a' }, { hostUsers: false }), /^spec\.hostUsers: cannot be false/],
    [statefulSet([template('other')]), /volumeMounts\[0\]\.name: no volume is called "data"; the pod has other/],
    [statefulSet([template(), template()]), /^spec\.volumeClaimTemplates\[1\]: template "data" is there twice/],
    [statefulSet([{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }]), /resources: required/],
  ];
  it.each(cases)('%j', (value, line) => expect(linesOf(value)).toMatch(line));

  it('when it changes what never changes', () => {
    const change = (from: object, to: object): string =>
      validate(withDefaults(to as KubeObject), withDefaults(from as KubeObject))
        .map(problemLine)
        .join('\n');
    expect(change(volume(), volume({ capacity: { storage: '2Gi' } }))).toMatch(/^spec\.capacity: never changes/);
    expect(change(volume(), volume({ local: { path: '/mnt/b' } }))).toMatch(/^spec\.local: never changes/);
    expect(change(volume({ claimRef: { namespace: 'default', name: 'a', uid: 'u' } }), volume())).toBe('');
    expect(change(claim(), claim({ resources: size('2Gi') }))).toMatch(/^spec\.resources.*: never changes/);
    expect(change(claim(), claim({ volumeName: 'pv' }))).toBe('');
    expect(change(claim({ volumeName: 'pv' }), claim({ volumeName: 'other' }))).toMatch(/^spec\.volumeName: never/);
    expect(change(storageClass(), storageClass({ reclaimPolicy: 'Retain' }))).toMatch(/^reclaimPolicy: never changes/);
    expect(change(statefulSet([template()]), statefulSet([]))).toContain('spec.volumeClaimTemplates: never changes');
  });
});

it('has defaults', () => {
  expect(withDefaults(volume() as PersistentVolume).spec).toMatchObject({
    persistentVolumeReclaimPolicy: 'Retain',
    volumeMode: 'Filesystem',
  });
  expect(withDefaults(storageClass() as StorageClass)).toMatchObject({
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
  const none = withDefaults(storageClass({ provisioner: 'kubernetes.io/no-provisioner' }) as StorageClass);
  expect(none.volumeBindingMode).toBe('Immediate');
  const set = withDefaults(statefulSet([template()]) as unknown as StatefulSet);
  expect(set.spec.template.spec.hostUsers).toBe(true);
  expect(set.spec.template.spec.volumes).toBeUndefined();
  expect(set.spec.volumeClaimTemplates?.[0]?.spec.volumeMode).toBe('Filesystem');
});

describe('the volumes that suit a claim', () => {
  const pv = (name: string, storage: string, spec: object = {}, parts: object = {}) =>
    ({ ...volume({ capacity: { storage }, ...spec }, { name }), ...parts }) as PersistentVolume;
  const mine = claim({}, { uid: 'u1' }) as unknown as PersistentVolumeClaim;
  const cases: readonly [string, PersistentVolume[], string[]][] = [
    ['the smallest that is large enough first', [pv('b', '5Gi'), pv('a', '2Gi'), pv('c', '512Mi')], ['a', 'b']],
    [
      'one that is kept for it before all others',
      [pv('a', '1Gi'), pv('kept', '9Gi', { claimRef: { namespace: 'default', name: 'data' } })],
      ['kept', 'a'],
    ],
    ['none that is kept for others', [pv('a', '1Gi', { claimRef: { namespace: 'default', name: 'x' } })], []],
    [
      'none that a former claim of its name had',
      [pv('a', '1Gi', { claimRef: { namespace: 'default', name: 'data', uid: 'old' } })],
      [],
    ],
    ['none of another class', [pv('a', '1Gi', { storageClassName: 'fast' })], []],
    ['none with fewer access modes', [pv('a', '1Gi', { accessModes: ['ReadOnlyMany'] })], []],
    ['none that is released', [pv('a', '1Gi', {}, { status: { phase: 'Released' } })], []],
    ['by name, when they are alike', [pv('b', '1Gi'), pv('a', '1Gi')], ['a', 'b']],
  ];
  it.each(cases)('%s', (_what, volumes, names) => {
    expect(suitableVolumes(mine, volumes).map(({ metadata }) => metadata.name)).toEqual(names);
  });
});
