/** `ctl autoscale`: from now on what its pods use says how many a workload has. */
import { isDeleting } from '../../lib/model/object.ts';
import type { HorizontalPodAutoscaler } from '../../proto/gen/types.ts';
import type { SimUser } from './users.ts';
import { autoscaler } from './workloads/autoscaler.ts';
import { pick } from './workloads/workload.ts';

const mostPods = 2;

export async function autoscale(user: SimUser): Promise<void> {
  const { checker, random, workloads } = user;
  if (!workloads.includes(autoscaler)) return;
  const targets = [...checker.list('Deployment'), ...checker.list('StatefulSet')].filter((one) => !isDeleting(one));
  if (targets.length === 0) return;
  const { kind, metadata } = pick(targets, random);
  const made = autoscaler.make(metadata.name, random, mostPods) as HorizontalPodAutoscaler;
  const { namespace = 'default' } = metadata;
  const scaleTargetRef = { apiVersion: 'apps/v1', kind, name: metadata.name };
  await user.apply({ ...made, metadata: { ...made.metadata, namespace }, spec: { ...made.spec, scaleTargetRef } });
}
