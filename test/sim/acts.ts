/** What users do: each act is one thing that a user of the cluster would do, drawn by weight. */

import { objectKey } from '../../lib/model/keys.ts';
import { controllerOf, isControlledBy, isDeleting } from '../../lib/model/object.ts';
import { copyNamesOf, undoAnnotation, withOriginalNames } from '../../lib/model/rollouts.ts';
import type { Random } from '../../lib/random.ts';
import type { Deployment, KubeObject, PodTemplateSpec } from '../../proto/gen/types.ts';
import { autoscale } from './autoscaling-acts.ts';
import { reconfigure } from './configuration-acts.ts';
import { dropClaim, dropVolume, provideVolume } from './storage-acts.ts';
import type { SimUser } from './users.ts';
import { appNames, importantClass, type Workload } from './workloads/workload.ts';
import { workloadOf, workloads } from './workloads/workloads.ts';

type Act = (user: SimUser) => Promise<unknown>;

const otherNamespace = 'temporary';
/** Somebody else's business must be done before the object may go. */
export const holdFinalizer = 'sim.example/hold';
/** How long a drain asks again for pods that a budget does not let go. */
const drainMs = 6_000;
const templateHashLabel = 'pod-template-hash';

const choose = <T>(items: readonly T[], random: Random): T | undefined =>
  items[Math.floor(random.next() * items.length)];

/** One of the workloads that are there. */
function someWorkload({ checker, random }: SimUser): KubeObject | undefined {
  const objects = workloads.flatMap(({ kind }) => checker.list(kind) as KubeObject[]);
  return choose(
    objects.filter((object) => !isDeleting(object)),
    random,
  );
}

/** Now and then, if there is one. */
function someVolume({ checker, random }: SimUser): KubeObject | undefined {
  return random.next() < 0.1 ? choose(checker.list('PersistentVolume'), random) : undefined;
}

function someDeployment({ checker, random }: SimUser): Deployment | undefined {
  return choose(
    checker.list('Deployment').filter((object) => !isDeleting(object)),
    random,
  );
}

async function deletePod(user: SimUser): Promise<void> {
  const pod = choose(user.checker.list('Pod'), user.random);
  if (!pod) return;
  const { name, namespace = 'default' } = pod.metadata;
  await user.delete('Pod', name, { namespace, ...(user.random.next() < 0.2 && { gracePeriodSeconds: 0 }) });
}

/** A node takes no new pods, or does again. */
async function cordon(user: SimUser): Promise<void> {
  const node = choose(user.checker.list('Node'), user.random);
  if (node) await user.setSchedulable(node.metadata.name, node.spec.unschedulable === true);
}

/** Cordons a node and evicts its pods, which their budgets may delay; what is left after a while stays. */
async function drain(user: SimUser): Promise<void> {
  const { checker, random, world } = user;
  const name = choose(checker.list('Node'), random)?.metadata.name;
  if (name === undefined || !(await user.setSchedulable(name, false))) return;
  const untilMs = world.nowMs + drainMs;
  while (user.working && world.nowMs < untilMs) {
    const pods = checker
      .list('Pod')
      .filter((pod) => pod.spec.nodeName === name && !isDeleting(pod) && controllerOf(pod)?.kind !== 'DaemonSet');
    if (pods.length === 0) break;
    for (const { metadata } of pods) await user.evict(metadata.name, metadata.namespace);
    await user.sleep(1_000);
  }
  if (random.next() < 0.5) await user.setSchedulable(name, true);
}

/** `ctl rollout pause | resume`. */
async function pause(user: SimUser): Promise<void> {
  const deployment = someDeployment(user);
  if (!deployment) return;
  const { paused, ...spec } = deployment.spec;
  await user.update({ ...deployment, spec: { ...spec, ...(!paused && { paused: true }) } });
}

/** `ctl rollout undo`: the template of one of its former ReplicaSets. */
async function undo(user: SimUser): Promise<void> {
  const deployment = someDeployment(user);
  if (!deployment) return;
  const sets = user.checker.list('ReplicaSet').filter((set) => isControlledBy(set, deployment));
  const former = choose(sets, user.random);
  if (!former) return;
  const dice = user.random.next();
  if (dice < 0.5) {
    await user.update(withRequest(deployment, former.metadata.name));
    return;
  }
  // With the content of then, or whatever its configuration holds now.
  const written = ofNobody(former.spec.template);
  const template = dice < 0.75 ? withOriginalNames(written, copyNamesOf(former)) : written;
  await user.update({ ...deployment, spec: { ...deployment.spec, template } });
}

/** The template stays, and the former revision runs in its place. */
function withRequest(deployment: Deployment, revision: string): Deployment {
  const annotations = { ...deployment.metadata.annotations, [undoAnnotation]: revision };
  return { ...deployment, metadata: { ...deployment.metadata, annotations } };
}

function ofNobody(template: PodTemplateSpec): PodTemplateSpec {
  const { [templateHashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Somebody wants to be asked before the object goes; or has had their say. */
async function hold(user: SimUser): Promise<void> {
  const held = user.checker.objects.values().find(isHeld);
  const object = user.random.next() < 0.4 && held ? held : (someVolume(user) ?? someWorkload(user));
  if (!object) return;
  if (isHeld(object)) await user.release(withHold(object, false));
  else await user.update(withHold(object, true));
}

export const isHeld = ({ metadata }: KubeObject): boolean => metadata.finalizers?.includes(holdFinalizer) === true;

export function withHold(object: KubeObject, held: boolean): KubeObject {
  const others = (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== holdFinalizer);
  const finalizers = held ? [...others, holdFinalizer] : others;
  return { ...object, metadata: { ...object.metadata, finalizers } } as KubeObject;
}

/** Makes, changes, scales or deletes a workload of some kind and name. */
async function work(user: SimUser): Promise<void> {
  const { random, checker, mostPods } = user;
  const workload = byWeight(user.workloads, random);
  const name = choose(appNames, random)!;
  const namespace = random.next() < 0.15 ? otherNamespace : 'default';
  const dice = random.next();
  if (namespace !== 'default' && !(await haveNamespace(user, dice < 0.1))) return;
  const current = checker.objects.get(objectKey(workload.kind, namespace, name));
  // Somebody else may add to it at the same time; the limit leaves room for that.
  const others = workloads.flatMap(({ kind }) => checker.list(kind)).filter((object) => object !== current);
  const asked = others.reduce((sum, object) => sum + (workloadOf(object.kind)?.load(object) ?? 0), 0);
  const load = Math.max(0, Math.min(6, mostPods - asked));
  if (!current) {
    if (await haveClass(user)) await user.apply(within(namespace, workload.make(name, random, load)));
  } else if (dice < 0.15) await end(user, workload, current);
  else if (dice < 0.4) await user.annotate(workload.kind, name, namespace);
  else if (dice < 0.55 && (workload.kind === 'Deployment' || workload.kind === 'StatefulSet'))
    await user.scale(workload.kind, name, Math.floor(random.next() * (Math.min(3, load) + 1)), namespace);
  else await user.apply(within(namespace, workload.change(unowned(current), random, load)));
}

/** Pods of a Deployment may stay when it goes, and those of all may have to go first. */
function end(user: SimUser, { kind }: Workload, { metadata }: KubeObject): Promise<boolean> {
  const dice = user.random.next();
  const orphan = kind === 'Deployment' && dice < 0.2;
  const propagationPolicy = orphan ? 'Orphan' : dice > 0.7 ? 'Foreground' : undefined;
  const { name, namespace = 'default' } = metadata;
  return user.delete(kind, name, { namespace, ...(propagationPolicy && { propagationPolicy }) });
}

/** A second namespace, made when it is wanted; `end`: deleted with all that is in it. False when it is not there. */
async function haveNamespace(user: SimUser, end: boolean): Promise<boolean> {
  const present = user.checker.objects.get(objectKey('Namespace', undefined, otherNamespace));
  if (present && end) await user.delete('Namespace', otherNamespace);
  if (present) return !end && !isDeleting(present);
  return user.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: otherNamespace } });
}

/** Pods of a class that is not there would be refused. */
async function haveClass(user: SimUser): Promise<boolean> {
  if (user.checker.objects.has(objectKey('PriorityClass', undefined, importantClass))) return true;
  const metadata = { name: importantClass };
  return user.apply({ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata, value: 1_000 });
}

const quotaName = 'team';
const limitMs = 6_000;

/** For a while there may be no more, or hardly more, than what is there. */
async function limit(user: SimUser): Promise<void> {
  const { checker, random } = user;
  const pods = checker.list('Pod').filter(({ metadata }) => metadata.namespace === 'default').length;
  const most = Math.max(1, pods - 2 + Math.floor(random.next() * 4));
  const metadata = { name: quotaName, namespace: 'default' };
  await user.apply({ apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard: { pods: `${most}` } } });
  await user.sleep(limitMs * random.next());
  await user.delete('ResourceQuota', quotaName);
}

const acts: readonly { readonly weight: number; readonly act: Act }[] = [
  { weight: 8, act: deletePod },
  { weight: 2, act: cordon },
  { weight: 3, act: drain },
  { weight: 5, act: pause },
  { weight: 4, act: undo },
  { weight: 4, act: hold },
  { weight: 4, act: limit },
  { weight: 4, act: autoscale },
  { weight: 5, act: reconfigure },
  { weight: 2, act: provideVolume },
  { weight: 2, act: dropClaim },
  { weight: 1, act: dropVolume },
  { weight: 80, act: work },
];

export const chooseAct = (random: Random): Act => byWeight(acts, random).act;

function byWeight<T extends { readonly weight: number }>(items: readonly T[], random: Random): T {
  const total = items.reduce((sum, { weight }) => sum + weight, 0);
  let rest = random.next() * total;
  for (const item of items) {
    rest -= item.weight;
    if (rest < 0) return item;
  }
  return items[0]!;
}

const within = (namespace: string, object: KubeObject): KubeObject =>
  ({ ...object, metadata: { ...object.metadata, namespace } }) as KubeObject;

/** The manifest again, without what the cluster added. */
function unowned({ apiVersion, kind, metadata, ...rest }: KubeObject): KubeObject {
  const { status: _status, ...content } = rest as { status?: unknown };
  const { name, namespace, annotations = {} } = metadata;
  const written = Object.entries(annotations).filter(([key]) => key.startsWith('gantry.dev/'));
  const own = { name, ...(namespace && { namespace }), annotations: Object.fromEntries(written) };
  return { apiVersion, kind, metadata: own, ...content } as KubeObject;
}
