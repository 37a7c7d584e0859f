/**
 * Kubernetes' rules for the kinds that Gantry has. Pure; answers all problems at once. An object comes here with its
 * defaults (lib/model/defaults.ts); what a single field may hold is the schema's (lib/model/read-value.ts) and is
 * checked before, but an object that failed there may come here all the same, so that its author sees everything.
 */
import type { KindMap, KubeObject } from '../../proto/gen/types.ts';
import { encodeObject } from './codec.ts';
import type { Problem } from './problems.ts';
import { checkAutoscaler } from './validation/autoscaling.ts';
import { collect } from './validation/checks.ts';
import { checkConfigMap, checkSecret } from './validation/config.ts';
import { checkCronJob } from './validation/cron-job.ts';
import { checkControllerRevision, checkDaemonSet } from './validation/daemon-set.ts';
import { checkFencing } from './validation/fencing.ts';
import { checkJob } from './validation/job.ts';
import { checkMetadata } from './validation/metadata.ts';
import { checkNode } from './validation/node.ts';
import { checkDisruptionBudget, checkPriorityClass } from './validation/policy.ts';
import { checkLimitRange, checkResourceQuota } from './validation/quota.ts';
import { checkEndpointSlice, checkService } from './validation/service.ts';
import { checkStatefulSet } from './validation/stateful-set.ts';
import { checkClaim, checkPersistentVolume, checkStorageClass } from './validation/storage.ts';
import { checkDeployment, checkPod, checkReplicaSet } from './validation/workloads.ts';

/** One request to etcd may have 1.5 MB; this leaves room for what is written beside the object. */
export const largestObjectBytes = 1024 * 1024;
/** Data of 1 MiB needs room for names, metadata and the seal. */
const largestStoredBytes = largestObjectBytes + 300 * 1024;

type Check = (object: never, old: never, problems: Problem[]) => void;

const checks: { readonly [K in keyof KindMap]?: Check } = {
  Pod: checkPod,
  Deployment: checkDeployment,
  ReplicaSet: checkReplicaSet,
  DaemonSet: checkDaemonSet,
  StatefulSet: checkStatefulSet,
  ControllerRevision: checkControllerRevision,
  Job: checkJob,
  CronJob: checkCronJob,
  Service: (object, old, problems) => checkService(object, old, collect(problems)),
  EndpointSlice: (object, old, problems) => checkEndpointSlice(object, old, collect(problems)),
  ConfigMap: (object, old, problems) => checkConfigMap(object, old, collect(problems)),
  Secret: (object, old, problems) => checkSecret(object, old, collect(problems)),
  HorizontalPodAutoscaler: (object, _old, problems) => checkAutoscaler(object, collect(problems)),
  PodDisruptionBudget: (object, _old, problems) => checkDisruptionBudget(object, collect(problems)),
  ResourceQuota: (object, old, problems) => checkResourceQuota(object, old, collect(problems)),
  LimitRange: (object, _old, problems) => checkLimitRange(object, collect(problems)),
  PriorityClass: (object, old, problems) => checkPriorityClass(object, old, collect(problems)),
  PersistentVolume: (object, old, problems) => checkPersistentVolume(object, old, collect(problems)),
  PersistentVolumeClaim: (object, old, problems) => checkClaim(object, old, collect(problems)),
  StorageClass: (object, old, problems) => checkStorageClass(object, old, collect(problems)),
  Node: (object, old, problems) => checkNode(object, old, collect(problems)),
};

/** `old` is the stored object when this is a change of it. */
export function validate(object: KubeObject, old?: KubeObject): Problem[] {
  const problems: Problem[] = [];
  checkMetadata(object, collect(problems));
  checkFencing(object, old, collect(problems));
  checks[object.kind]?.(object as never, old as never, problems);
  return problems;
}

/** The size of the whole, which only a valid object has. */
export function sizeProblems(object: KubeObject): Problem[] {
  const bytes = encodeObject(object).length;
  const hasData = object.kind === 'ConfigMap' || object.kind === 'Secret';
  const limit = hasData ? largestStoredBytes : largestObjectBytes;
  if (bytes <= limit) return [];
  return [
    { path: '', message: `the object has ${bytes} bytes; at most ${limit} are allowed: make it smaller or split it` },
  ];
}
