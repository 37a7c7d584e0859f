/**
 * Rollouts with configuration: the template of a workload that opted in (annotation gantry.dev/rollout-on-config-change)
 * names copies of the ConfigMaps and Secrets that its author named, each called after its content. Pure.
 *
 * - Changed content is a changed template, and so a new revision; former content finds its former revision again.
 * - A copy never changes, and stays while a revision names it: going back to a revision is going back to its content.
 * - What is absent and optional has a name too, under which there never is anything.
 * - Copies belong to the workload. A copy of a Secret is a Secret, and sealed in the store like any other.
 * - While something is missing that is not optional, there is no new revision; those that there are run on.
 */
import { createHash } from 'node:crypto';
import { canonicalText, controllerReference, isControlledBy, isDeleting } from '../../../lib/model/object.ts';
import {
  type ConfigurationReference,
  configurationReferences,
  withConfigurationNames,
} from '../../../lib/model/pod-configuration.ts';
import {
  type CopyNames,
  copyKey,
  copyLabel,
  copyNamesOf,
  copyOfAnnotation,
  rollsOutWithConfiguration,
} from '../../../lib/model/rollouts.ts';
import type {
  ConfigMap,
  DaemonSet,
  Deployment,
  KubeObject,
  PodTemplateSpec,
  Secret,
  StatefulSet,
} from '../../../proto/gen/types.ts';
import type { Change, ReconcileResult, Snapshot } from '../../state/snapshot.ts';
import { controlledBy } from '../owned.ts';

export type Workload = Deployment | DaemonSet | StatefulSet;
type Content = ConfigMap | Secret;

interface Data {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly type?: string;
}

export interface ConfiguredTemplate {
  /** What pods are made of; the workload's own template when it did not opt in. */
  readonly template: PodTemplateSpec;
  /** The copies that it names. */
  readonly names: CopyNames;
  /** Copies that are yet to be made, before anything refers to them. */
  readonly missing: readonly Change[];
  /** What there must be first: `ConfigMap "settings"`. */
  readonly absent?: string;
  /** A sentence about that. */
  readonly waitsFor?: string;
}

const longestName = 253;
const hashLength = 10;
/** As in the names of ReplicaSets. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const absent = 'absent';
/** In one turn. */
const mostDeletions = 50;

export function configuredTemplate(snapshot: Snapshot, workload: Workload): ConfiguredTemplate {
  const { template } = workload.spec;
  if (!rollsOutWithConfiguration(workload)) return { template, names: {}, missing: [] };
  const names: Record<string, string> = {};
  const missing: Change[] = [];
  const required: string[] = [];
  for (const reference of configurationReferences(template.spec)) {
    const copy = copyFor(snapshot, workload, reference);
    names[copyKey(reference.kind, reference.name)] = copy.name;
    if (copy.create) missing.push({ type: 'create', object: copy.create });
    if (copy.waits) required.push(`${reference.kind} ${JSON.stringify(reference.name)}`);
  }
  const absentNames = required.join(' and ');
  const spec = withConfigurationNames(template.spec, (kind, name) => names[copyKey(kind, name)] ?? name);
  return {
    template: { ...template, spec },
    names,
    missing,
    ...(required.length > 0 && {
      absent: absentNames,
      waitsFor: `${absentNames} not found; the rollout begins when it is there`,
    }),
  };
}

interface Copy {
  readonly name: string;
  readonly create?: Content;
  readonly waits?: boolean;
}

function copyFor(snapshot: Snapshot, workload: Workload, reference: ConfigurationReference): Copy {
  const { namespace = 'default' } = workload.metadata;
  const original = snapshot.get(reference.kind, namespace, reference.name);
  // Somebody wrote a revision's template into the spec as it was: what it names is a copy already.
  if (original && isCopy(original) && isControlledBy(original, workload)) return { name: reference.name };
  if (!original) return { name: copyName(workload, reference, absent), ...(!reference.optional && { waits: true }) };
  const digest = digestOf(original);
  for (let collisions = 0; ; collisions += 1) {
    const name = copyName(workload, reference, `${digest}${collisions || ''}`);
    const there = snapshot.get(reference.kind, namespace, name);
    if (!there) return { name, create: newCopy(workload, original, name) };
    if (isCopy(there) && digestOf(there) === digest) return { name };
  }
}

function isCopy({ immutable, metadata }: Content): boolean {
  return immutable === true && metadata.annotations?.[copyOfAnnotation] !== undefined;
}

/** Content may be a megabyte, is looked at in every turn, and objects are never changed but replaced. */
const digests = new WeakMap<Content, string>();

function digestOf(object: Content): string {
  const known = digests.get(object);
  if (known !== undefined) return known;
  const { data, binaryData, type } = object as Data;
  const digest = createHash('sha256').update(canonicalText({ data, binaryData, type })).digest('hex');
  digests.set(object, digest);
  return digest;
}

/** Of another workload of the same name, made later, the copies are others. */
function copyName({ kind, metadata }: Workload, { kind: of, name }: ConfigurationReference, content: string): string {
  const identity = [kind, metadata.name, metadata.uid, of, name, content].join('\0');
  const digest = createHash('sha256').update(identity).digest();
  const hash = [...digest.subarray(0, hashLength)].map((byte) => alphabet[byte % alphabet.length]).join('');
  const base = `${metadata.name}-${name}`.slice(0, longestName - hashLength - 1).replace(/[-.]+$/, '');
  return `${base}-${hash}`;
}

function newCopy(workload: Workload, original: Content, name: string): Content {
  const { data, binaryData, type } = original as Data;
  return {
    apiVersion: 'v1',
    kind: original.kind,
    metadata: {
      name,
      namespace: workload.metadata.namespace ?? 'default',
      labels: { [copyLabel]: 'true' },
      annotations: { [copyOfAnnotation]: original.metadata.name },
      ownerReferences: [controllerReference(workload)],
    },
    ...(data && { data }),
    ...(binaryData && { binaryData }),
    ...(type !== undefined && { type }),
    immutable: true,
  } as Content;
}

/** Copies that no revision names any more, those that are yet to be made included. */
export function outlivedCopies(
  snapshot: Snapshot,
  workload: Workload,
  revisions: readonly KubeObject[],
  names: CopyNames,
): Change[] {
  const copies = [...controlledBy(snapshot, workload, 'ConfigMap'), ...controlledBy(snapshot, workload, 'Secret')];
  if (copies.length === 0) return [];
  const named = new Set(
    [names, ...revisions.map(copyNamesOf)].flatMap((of) =>
      Object.entries(of).map(([key, name]) => `${key.slice(0, key.indexOf('/'))}/${name}`),
    ),
  );
  const outlived = copies.filter(
    (copy) => isCopy(copy) && !isDeleting(copy) && !named.has(`${copy.kind}/${copy.metadata.name}`),
  );
  return outlived.slice(0, mostDeletions).map((object) => ({ type: 'delete', object }));
}

/** Why there is another revision of the same template. */
export function changedContent(
  about: Workload,
  before: CopyNames,
  names: CopyNames,
  revision: number,
): NonNullable<ReconcileResult['events']> {
  const changed = Object.keys(names).filter((key) => before[key] !== undefined && before[key] !== names[key]);
  if (changed.length === 0) return [];
  const message = `${changed.map((key) => key.replace('/', ' ')).join(' and ')} changed: rolling out revision ${revision}`;
  return [{ type: 'Normal', reason: 'ConfigurationChanged', message, about }];
}
