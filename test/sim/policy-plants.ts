/** Bugs against the invariants of autoscalers, limits, configuration and storage. */
import { decodeObject, encodeObject } from '../../lib/model/codec.ts';
import { kindPrefix } from '../../lib/model/keys.ts';
import type { Operation } from '../../lib/store/store.ts';
import { misreading, type Plant, removedAtOnce } from './plant.ts';

export const policyPlants: readonly Plant[] = [
  {
    name: 'autoscalers take their upper bound for higher than it is',
    finds: 'autoscaling',
    focus: { kinds: ['Deployment', 'HorizontalPodAutoscaler'], faults: [] },
    make: () => ({
      codec: misreading((object) =>
        object.kind === 'HorizontalPodAutoscaler'
          ? { ...object, spec: { ...object.spec, maxReplicas: object.spec.maxReplicas + 3 } }
          : object,
      ),
    }),
  },
  {
    name: 'limit ranges are taken for empty',
    finds: 'limits',
    focus: { kinds: ['Pod', 'DaemonSet', 'LimitRange'], faults: [] },
    make: () => ({
      codec: misreading((object) =>
        object.kind === 'LimitRange' ? { ...object, spec: { ...object.spec, limits: [] } } : object,
      ),
    }),
  },
  {
    name: 'what has changed in a ConfigMap is not seen',
    finds: 'configuration',
    focus: { kinds: ['Deployment', 'ConfigMap'], faults: [] },
    make: () => ({
      codec: misreading((object) =>
        object.kind === 'ConfigMap' && !object.immutable ? { ...object, data: { value: 'always' } } : object,
      ),
    }),
  },
  {
    name: 'a volume is not told whose it is',
    finds: 'one-claim-per-volume',
    focus: { kinds: ['StatefulSet', 'Pod', 'PersistentVolumeClaim'], faults: [] },
    make: () => ({
      transact: ({ success, ...rest }) => ({
        ...rest,
        success: success.map((operation): Operation => {
          if (operation.kind !== 'put' || !operation.key.startsWith(kindPrefix('PersistentVolume'))) return operation;
          const volume = decodeObject('PersistentVolume', operation.value);
          const { claimRef: _claim, ...spec } = volume.spec;
          return { ...operation, value: encodeObject({ ...volume, spec }) };
        }),
      }),
    }),
  },
  {
    name: 'the scheduler does not look where volumes are',
    finds: 'volume-node',
    focus: { kinds: ['StatefulSet', 'Pod', 'PersistentVolumeClaim'], faults: [] },
    make: () => ({
      codec: misreading((object) => {
        if (object.kind !== 'PersistentVolume') return object;
        const { nodeAffinity: _node, ...spec } = object.spec;
        return { ...object, spec };
      }),
    }),
  },
  {
    name: 'a claim goes though pods use it',
    finds: 'volume-data',
    focus: { kinds: ['StatefulSet', 'Pod', 'PersistentVolumeClaim'], faults: [] },
    make: () => ({ transact: removedAtOnce(({ kind }) => kind === 'PersistentVolumeClaim') }),
  },
  {
    name: 'agents leave the directories of volumes behind',
    finds: 'no-leaks',
    focus: { kinds: ['StatefulSet', 'Pod', 'PersistentVolumeClaim'], faults: [] },
    make: () => ({ leakDirectories: true }),
  },
];
