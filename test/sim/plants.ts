/** One deliberate bug for each invariant. Each must be found, or its checker is worth nothing. */

import { podIPPrefix } from '../../lib/model/allocations.ts';
import { decodeObject, encodeObject, fromEnvelope } from '../../lib/model/codec.ts';
import { kindPrefix, storeRoot } from '../../lib/model/keys.ts';
import { controllerOf } from '../../lib/model/object.ts';
import type { Compare, Operation, Transaction } from '../../lib/store/store.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { counterPrefix } from './acknowledged.ts';
import { isHeld } from './acts.ts';
import { misreading, type Plant, removedAtOnce } from './plant.ts';
import { policyPlants } from './policy-plants.ts';

const leaderKey = `${storeRoot}leader`;
const podPrefix = `${storeRoot}pods/`;
const nodePrefix = `${storeRoot}nodes/`;

const isFence = ({ key, target, value }: Compare): boolean => key === leaderKey && target === 'create' && value !== 0n;
const writes = (operation: Operation, prefix: string): boolean =>
  (operation.kind === 'put' || operation.kind === 'delete') && operation.key.startsWith(prefix);

/** A status report that moves some pods to the first node. */
function moveBoundPods(transaction: Transaction): Transaction {
  const success = transaction.success.map((operation): Operation => {
    if (operation.kind !== 'put' || !operation.key.startsWith(podPrefix)) return operation;
    const pod = decodeObject('Pod', operation.value);
    if (pod.status?.phase !== 'Running' || !/[0-3]$/.test(pod.metadata.uid ?? '')) return operation;
    return { ...operation, value: encodeObject({ ...pod, spec: { ...pod.spec, nodeName: 'n1' } }) };
  });
  return { ...transaction, success };
}

export const plants: readonly Plant[] = [
  {
    name: 'a report moves a bound pod to another node',
    finds: 'one-node-per-pod',
    make: () => ({ transact: moveBoundPods }),
  },
  {
    name: 'a pod that must not run twice goes before its agent has stopped it',
    finds: 'strict-once',
    focus: { kinds: ['StatefulSet'], faults: [] },
    make: () => ({ transact: removedAtOnce((object) => controllerOf(object)?.kind === 'StatefulSet') }),
  },
  {
    name: 'a node takes its heartbeats for acknowledged',
    finds: 'stop-after-once',
    focus: { kinds: ['StatefulSet'], faults: ['nodeAlone'] },
    make: () => ({ renewsItself: true }),
  },
  {
    name: 'a binding of a pod that must not run twice does not look at its node',
    finds: 'fenced-node',
    focus: { kinds: ['StatefulSet', 'ConfigMap'], faults: ['nodeLeaves', 'nodeJoins'] },
    make: () => ({
      lateMs: (_transaction, { operation }) => (operation?.includes(' delete Node') ? 3_000 : 0),
      transact: ({ compare, success, ...rest }) => {
        const isBinding =
          success.some((one) => writes(one, podPrefix)) && success.some((one) => writes(one, podIPPrefix));
        if (!isBinding) return { compare, success, ...rest };
        return {
          ...rest,
          compare: compare.filter(({ key }) => !key.startsWith(nodePrefix)),
          success: success.filter((one) => !writes(one, nodePrefix)),
        };
      },
    }),
  },
  {
    name: 'a replica does not find a node that is there now and then',
    finds: 'told-deleted',
    focus: { kinds: ['ConfigMap'], faults: ['nodeAlone', 'killAgent'] },
    make() {
      let count = 0;
      return {
        misses(key) {
          count += Number(key.startsWith(nodePrefix));
          return key.startsWith(nodePrefix) && count % 5 === 0;
        },
      };
    },
  },
  {
    name: 'agents go on running what they ran though their node was deleted',
    finds: 'converges',
    focus: { faults: ['nodeExpelled', 'nodeJoins'] },
    make: () => ({ deafToDeletion: true }),
  },
  {
    name: 'a replica reads before it knows what the others wrote',
    finds: 'fresh-reads',
    focus: { kinds: ['ConfigMap'], faults: [] },
    make: () => ({ asked: () => 1n }),
  },
  {
    name: 'finalizers hold nothing',
    finds: 'finalizers',
    focus: { kinds: ['Deployment'] },
    make: () => ({ transact: removedAtOnce(isHeld) }),
  },
  {
    name: 'what is to be set free is not',
    finds: 'orphans',
    focus: { kinds: ['Deployment'] },
    make: () => ({
      codec: misreading((object) => {
        const { finalizers, ...metadata } = object.metadata;
        return finalizers?.includes('orphan') ? ({ ...object, metadata } as KubeObject) : object;
      }),
    }),
  },
  {
    name: 'an eviction is charged to nobody',
    finds: 'budgets',
    focus: { kinds: ['Deployment', 'PodDisruptionBudget'], faults: [] },
    make: () => ({
      transact: ({ success, ...rest }, { operation }) => ({
        ...rest,
        success: operation?.includes(' evict ')
          ? success.filter((one) => !writes(one, kindPrefix('PodDisruptionBudget')))
          : success,
      }),
    }),
  },
  {
    name: 'quotas are taken for unused',
    finds: 'quotas',
    focus: { kinds: ['Pod'], faults: [] },
    make: () => ({
      codec: misreading((object) =>
        object.kind === 'ResourceQuota' && object.status
          ? { ...object, status: { ...object.status, used: { pods: '0' } } }
          : object,
      ),
    }),
  },
  {
    name: 'a binding does not take its address',
    finds: 'one-pod-per-ip',
    make: () => ({
      transact: ({ compare, success, ...rest }) => ({
        ...rest,
        compare: compare.filter(({ key }) => !key.startsWith(podIPPrefix)),
        success: success.filter((operation) => !writes(operation, podIPPrefix)),
      }),
    }),
  },
  {
    name: 'the scheduler takes nodes for ten times as large as they are',
    finds: 'no-overcommit',
    focus: { kinds: ['Deployment', 'StatefulSet'], faults: ['nodeAlone', 'machineBreaks'] },
    make: () => ({
      codec: misreading((object) => {
        if (object.kind !== 'Node' || !object.status?.allocatable) return object;
        const allocatable = { cpu: '20', memory: '40Gi', pods: '300' };
        return { ...object, status: { ...object.status, allocatable } };
      }),
    }),
  },
  {
    name: 'transactions do not compare the term',
    finds: 'leader-writes',
    focus: { faults: ['stall', 'replicaFromEtcd', 'etcdSlow'] },
    make: () => ({
      transact: ({ compare, ...rest }) => ({ ...rest, compare: compare.filter((one) => !isFence(one)) }),
    }),
  },
  {
    name: "users' writes do not compare what they were made from",
    finds: 'acknowledged-writes',
    make: () => ({
      transact: ({ compare, ...rest }, { operation }) => ({
        ...rest,
        compare: operation === undefined ? compare : compare.filter(({ target }) => target !== 'mod'),
      }),
    }),
  },
  {
    name: 'now and then a write is acknowledged and forgotten',
    finds: 'acknowledged-writes',
    make() {
      let count = 0;
      return {
        forget(_transaction, { operation }) {
          if (operation === undefined || operation.startsWith('join')) return false;
          count += 1;
          return count % 10 === 0;
        },
      };
    },
  },
  {
    name: 'a ReplicaSet that a user has written to is taken to be of an owner that is gone',
    finds: 'acknowledged-writes',
    focus: { kinds: ['Deployment', 'ReplicaSet'], faults: [] },
    make: () => ({
      codec: misreading((object) => {
        const { annotations = {} } = object.metadata;
        const isWritten = Object.keys(annotations).some((name) => name.startsWith(counterPrefix));
        if (object.kind !== 'ReplicaSet' || !isWritten) return object;
        const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'gone', uid: 'gone' }];
        return { ...object, metadata: { ...object.metadata, ownerReferences } };
      }),
    }),
  },
  {
    name: 'a watch of the API leaves something out now and then',
    finds: 'watch-order',
    make() {
      let count = 0;
      return {
        watched({ type, object }) {
          if (type === 'BOOKMARK' || fromEnvelope(object)?.kind !== 'Pod') return true;
          count += 1;
          return count % 20 !== 0;
        },
      };
    },
  },
  {
    name: 'a mirror misses something now and then',
    finds: 'mirror-exact',
    make() {
      let count = 0;
      return {
        watchBatch(batch, prefix) {
          if (prefix !== storeRoot) return batch;
          count += 1;
          return count % 50 === 0 ? undefined : batch;
        },
      };
    },
  },
  { name: 'agents do not say when a pod is gone', finds: 'converges', make: () => ({ keepRemovals: true }) },
  { name: 'agents leave network devices behind', finds: 'no-leaks', make: () => ({ leakAttachments: true }) },
  {
    name: 'agents have something new to say whenever they look at their machines',
    finds: 'comes-to-rest',
    focus: { faults: [] },
    make: () => ({ restless: true }),
  },
  {
    name: 'a handler makes a mistake',
    finds: 'no-crash',
    make: () => ({
      transact(transaction, { operation }) {
        if (operation?.includes(' scale ')) throw new TypeError('planted');
        return transaction;
      },
    }),
  },
  ...policyPlants,
];
