/**
 * What every object passes on its way in: the schema, the defaults, the kind's rules, and the fields that are the
 * cluster's to write. Pure but for the ids it draws. All problems are thrown as one error.
 *
 * Fields that only a newer control plane knows stay in stored objects whatever is done to them here; new ones are
 * refused, since nobody here can say what they mean.
 */
import { timestamp } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { applied } from '../../lib/model/apply.ts';
import { withDefaults } from '../../lib/model/defaults.ts';
import { sameValue } from '../../lib/model/equal.ts';
import { readManifest } from '../../lib/model/manifest.ts';
import { type Problem, problemsError } from '../../lib/model/problems.ts';
import { kindInfo } from '../../lib/model/schema.ts';
import { claimProtection, volumeProtection } from '../../lib/model/storage.ts';
import { newUnknown, withUnknownOf } from '../../lib/model/unknown.ts';
import { sizeProblems, validate } from '../../lib/model/validation.ts';
import type { Random } from '../../lib/random.ts';
import type { KubeObject, ObjectMeta, Service } from '../../proto/gen/types.ts';
import { nameOf } from './objects.ts';
import { strategyProblems } from './strategy-names.ts';

/** "gantry" in a namespace's spec.finalizers: the namespace controller must empty it first. */
const namespaceFinalizer = 'gantry';
const suffixLength = 5;
/** A pod's name is also its host name, a DNS label. */
const longestGenerateName = 63 - suffixLength;

/** A new object as it will be stored; a name is made from generateName when there is none. */
export function admitNew(given: KubeObject, random: Random, nowMs: number): KubeObject {
  if (given.kind === 'Node') {
    const cure = 'on the new machine run the node agent with a token of `ctl token create`';
    throw new GantryError('failedPrecondition', `nodes are not created but join by themselves; ${cure}`);
  }
  const { partial, problems } = readManifest(given);
  if (!partial) throw problemsError(nameOf(given), problems);
  const { metadata } = partial;
  const object = withDefaults({
    ...partial,
    ...(metadata && { metadata: newMetadata(partial, random, nowMs) }),
    ...initialStatus(partial),
  } as KubeObject);
  throwIfAny(given, [...tooNewFields(given), ...problems, ...validate(object), ...strategyProblems(object)], object);
  return object;
}

/** What of `given` only a newer control plane can admit; what `old` has already may stay. */
function tooNewFields(given: KubeObject, old?: KubeObject): Problem[] {
  const { status: _theClusters, ...rest } = given as KubeObject & { status?: unknown };
  return newUnknown(kindInfo(given.kind).type, rest, old);
}

function newMetadata({ kind, metadata }: KubeObject, random: Random, nowMs: number): ObjectMeta {
  const { name, generateName, namespace, labels, annotations, ownerReferences, finalizers } = metadata;
  return {
    name: name || `${(generateName ?? '').slice(0, longestGenerateName)}${random.suffix(suffixLength)}`,
    ...(generateName && { generateName }),
    ...(namespace && { namespace }),
    uid: random.uuid(),
    ...('spec' in kindInfo(kind).type.fields && { generation: 1 }),
    creationTimestamp: timestamp(nowMs),
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(ownerReferences && { ownerReferences }),
    ...withProtection(kind, finalizers),
  };
}

/** What is in use stays until it is not. */
function withProtection(kind: string, given: readonly string[] = []): { finalizers?: string[] } {
  const own =
    kind === 'PersistentVolumeClaim' ? claimProtection : kind === 'PersistentVolume' ? volumeProtection : undefined;
  const finalizers = own === undefined || given.includes(own) ? [...given] : [...given, own];
  return finalizers.length > 0 ? { finalizers } : {};
}

function initialStatus({ kind }: KubeObject): object {
  if (kind === 'Pod' || kind === 'PersistentVolumeClaim') return { status: { phase: 'Pending' } };
  if (kind === 'Namespace') return { spec: { finalizers: [namespaceFinalizer] }, status: { phase: 'Active' } };
  return {};
}

/** `given` in place of `old`, as it will be stored. Status, identity and history stay those of `old`. */
export function admitChange(given: KubeObject, old: KubeObject): KubeObject {
  const { partial, problems } = readManifest(given);
  if (!partial?.metadata) throw problemsError(nameOf(given), problems);
  const { type } = kindInfo(old.kind);
  // Before the defaults, which look whether a volume says what it is: it may say so in a field that is new.
  const merged = withUnknownOf(type, old, keepClusterFields(partial, old));
  const object = withDefaults(merged.kind === 'Service' ? withKeptAddresses(merged, old as Service) : merged);
  const wrong = [...identityProblems(partial, old), ...validate(object, old), ...strategyProblems(object)];
  const found = [...tooNewFields(given, old), ...problems, ...wrong];
  throwIfAny(given, found, object);
  const generation = 'spec' in object && !sameValue(specOf(object), specOf(old)) ? 1 : 0;
  if (generation === 0) return object;
  return {
    ...object,
    metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + generation },
  } as KubeObject;
}

const specOf = (object: KubeObject): unknown => ('spec' in object ? object.spec : undefined);

function keepClusterFields(given: KubeObject, old: KubeObject): KubeObject {
  const { labels, annotations, ownerReferences, finalizers } = given.metadata;
  const {
    labels: _labels,
    annotations: _annotations,
    ownerReferences: _ownerReferences,
    finalizers: _finalizers,
    ...kept
  } = old.metadata;
  const metadata: ObjectMeta = {
    ...kept,
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(ownerReferences && { ownerReferences }),
    ...(finalizers && { finalizers }),
  };
  const status = 'status' in old && old.status !== undefined ? { status: old.status } : {};
  const object = { ...given, metadata, ...status } as KubeObject;
  if (object.kind === 'Namespace' && old.kind === 'Namespace') {
    return { ...object, ...(old.spec && { spec: old.spec }) };
  }
  if (object.kind === 'PersistentVolumeClaim' && old.kind === 'PersistentVolumeClaim' && object.spec) {
    const { volumeName, storageClassName } = old.spec;
    const filledIn = {
      ...(volumeName !== undefined && { volumeName }),
      ...(storageClassName !== undefined && { storageClassName }),
    };
    return { ...object, spec: { ...filledIn, ...object.spec } };
  }
  if (object.kind === 'Node' && old.kind === 'Node') {
    const { podCIDR, providerID } = old.spec;
    return { ...object, spec: { ...(podCIDR && { podCIDR }), ...(providerID && { providerID }), ...object.spec } };
  }
  if (object.kind === 'Pod' && old.kind === 'Pod' && object.spec) {
    const { priority, priorityClassName, preemptionPolicy } = old.spec;
    const settled = { priority, priorityClassName, preemptionPolicy };
    const held = Object.fromEntries(Object.entries(settled).filter(([, value]) => value !== undefined));
    return { ...object, spec: { ...held, ...object.spec } };
  }
  return object;
}

/** A replacement that does not speak of addresses and node ports keeps them, unless its type has none. */
function withKeptAddresses(service: Service, old: Service): Service {
  if (!service.spec) return service;
  const type = service.spec.type ?? 'ClusterIP';
  const { clusterIP, clusterIPs, ports, ...spec } = service.spec;
  const addresses =
    type === 'ExternalName'
      ? sameValue(clusterIP, old.spec.clusterIP)
        ? {}
        : { clusterIP, clusterIPs }
      : { clusterIP: clusterIP ?? old.spec.clusterIP, clusterIPs: clusterIP ? clusterIPs : old.spec.clusterIPs };
  const before = new Map((old.spec.ports ?? []).map((port) => [`${port.port}/${port.protocol ?? 'TCP'}`, port]));
  const keptPorts = ports?.map(({ nodePort, ...port }) => {
    const held = before.get(`${port.port}/${port.protocol ?? 'TCP'}`)?.nodePort;
    const kept = type === 'NodePort' ? nodePort || held : nodePort === held ? undefined : nodePort;
    return kept ? { ...port, nodePort: kept } : port;
  });
  const defined = Object.fromEntries(Object.entries(addresses).filter(([, value]) => value !== undefined));
  return { ...service, spec: { ...spec, ...defined, ...(keptPorts && { ports: keptPorts }) } };
}

function identityProblems({ metadata }: KubeObject, old: KubeObject): Problem[] {
  const problems: Problem[] = [];
  for (const field of ['name', 'namespace'] as const) {
    if (metadata[field] && metadata[field] !== old.metadata[field]) {
      const message = `never changes (it is ${old.metadata[field]}); create a new object instead`;
      problems.push({ path: `metadata.${field}`, message });
    }
  }
  const added = (metadata.finalizers ?? []).filter((finalizer) => !old.metadata.finalizers?.includes(finalizer));
  if (old.metadata.deletionTimestamp && added.length > 0) {
    problems.push({
      path: 'metadata.finalizers',
      message: 'the object is being deleted; finalizers can only be removed',
    });
  }
  return problems;
}

function throwIfAny(given: KubeObject, problems: readonly Problem[], object: KubeObject): void {
  const all = problems.length > 0 ? problems : sizeProblems(object);
  if (all.length > 0) throw problemsError(nameOf(given), all);
}

/** Before a merge, which goes by names and would lose what has none here. */
export function refuseTooNew(given: KubeObject, old?: KubeObject): void {
  const problems = tooNewFields(given, old);
  if (problems.length > 0) throw problemsError(nameOf(given), problems);
}

/** What applying `given` would store, were it done now. */
export function admitApplied(
  given: KubeObject,
  live: KubeObject | undefined,
  random: Random,
  nowMs: number,
): KubeObject {
  refuseTooNew(given, live);
  return live ? admitChange(applied(live, given, 'ctl'), live) : admitNew(given, random, nowMs);
}
