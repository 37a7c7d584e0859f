/**
 * Apply, pure: a manifest merged into the live object on behalf of a field manager.
 *
 * - What the manifest says is laid over the live object; lists with a merge key merge by element.
 * - What the same manager applied before and leaves out now goes, unless another manager applied it too.
 * - Whoever changes a field owns it from then on, be it by Apply, Update, Patch or Scale; the former owner leaving it
 *   out then takes nothing away.
 * - Defaults belong to nobody and are made anew, so that they follow what they were derived from.
 *
 * Each manager's fields are kept (names only, no values) in an annotation of the object, `fields.gantry.dev/MANAGER`.
 */
import type { KubeObject } from '../../proto/gen/types.ts';
import { withDefaults } from './defaults.ts';
import { type FieldSet, fieldsOf, type Plain, unionOf, withoutChanged } from './fields.ts';
import { laidOver, project, withoutDefaults, withoutDropped } from './merge.ts';
import { at, atKey } from './problems.ts';
import { kindInfo } from './schema.ts';

export const fieldsAnnotationPrefix = 'fields.gantry.dev/';

const managerPattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,48}[A-Za-z0-9])?$/;

export function managerProblem(manager: string): string | undefined {
  if (managerPattern.test(manager)) return undefined;
  return `${JSON.stringify(manager)} is not a field manager; use at most 50 letters, digits, "-", "_" and "."`;
}

/** The object to store, not yet defaulted; `live` is undefined when there is none. */
export function applied(live: KubeObject | undefined, manifest: KubeObject, manager: string): KubeObject {
  const { type } = kindInfo(manifest.kind);
  const wanted = wantedOf(manifest);
  const fresh = fieldsOf(type, ownable(wanted));
  const sets = live ? fieldSetsOf(live) : new Map<string, FieldSet>();
  const old = sets.get(manager);
  sets.delete(manager);
  const base = live ? liveBase(live, old, fresh, [...sets.values()]) : {};
  const merged = laidOver(type, base, wanted as unknown as Plain) as unknown as KubeObject;
  const others = live ? keptSets(sets, live, merged) : sets;
  return withFieldSets(merged, new Map([...others, [manager, fresh]]));
}

function liveBase(live: KubeObject, old: FieldSet | undefined, fresh: FieldSet, others: readonly FieldSet[]): Plain {
  const { type } = kindInfo(live.kind);
  const { status, metadata, ...rest } = live as KubeObject & { status?: unknown };
  const owned = unionOf([...others, ...(old ? [old] : [])]);
  const identity = { apiVersion: live.apiVersion, kind: live.kind, metadata };
  const bare = { ...project(type, rest as Plain, owned), ...identity } as unknown as KubeObject;
  const defaulted = withDefaults(bare) as unknown as Plain;
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...standard } = defaulted;
  const stripped = withoutDefaults(type, { ...rest, metadata } as Plain, standard, owned);
  const base = old ? withoutDropped(type, stripped, old, fresh, unionOf(others)) : stripped;
  return { ...base, ...(status !== undefined && { status }) };
}

/** The object after a write that is no apply: managers lose the fields that it changed. */
export function withChangesDisowned<T extends KubeObject>(before: KubeObject, after: T): T {
  const sets = fieldSetsOf(before);
  return sets.size === 0 ? withFieldSets(after, sets) : withFieldSets(after, keptSets(sets, before, after));
}

export interface ApplyConflict {
  /** `spec.template.spec.containers["web"].image` */
  readonly path: string;
  /** Who applied it with the value that it has. */
  readonly manager: string;
}

/** The fields of other managers that `merged` (what `applied` made of it) has another value for. */
export function conflictsOf(live: KubeObject, merged: KubeObject, manager: string): readonly ApplyConflict[] {
  const { type } = kindInfo(live.kind);
  return [...fieldSetsOf(live)].flatMap(([owner, set]) => {
    if (owner === manager) return [];
    const left = withoutChanged(type, set, live as unknown as Plain, withDefaults(merged) as unknown as Plain);
    return lostPaths(set, left, '').map((path) => ({ path, manager: owner }));
  });
}

/** The leaves of `set` that `left` has no more. */
function lostPaths(set: FieldSet, left: FieldSet | undefined, base: string): readonly string[] {
  return Object.entries(set).flatMap(([name, part]) => {
    const path = /^[A-Za-z]\w*$/.test(name) ? at(base, name) : atKey(base, name);
    const rest = left && Object.hasOwn(left, name) ? left[name] : undefined;
    if (part === 1) return rest === undefined ? [path] : [];
    return lostPaths(part, rest === 1 ? part : rest, path);
  });
}

function keptSets(sets: ReadonlyMap<string, FieldSet>, before: KubeObject, after: KubeObject): Map<string, FieldSet> {
  const { type } = kindInfo(before.kind);
  const kept = new Map<string, FieldSet>();
  for (const [manager, set] of sets) {
    const left = withoutChanged(type, set, before as unknown as Plain, after as unknown as Plain);
    kept.set(manager, left ?? {});
  }
  return kept;
}

/** The manifest as far as a client may say it; stringData becomes data, so that one key has one name. */
function wantedOf(manifest: KubeObject): KubeObject {
  const { status: _status, ...rest } = manifest as KubeObject & { status?: unknown };
  const metadata = { ...rest.metadata };
  for (const name of ['uid', 'generation', 'creationTimestamp', 'deletionTimestamp', 'resourceVersion'] as const) {
    delete metadata[name];
  }
  delete metadata.deletionGracePeriodSeconds;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => !isFieldsAnnotation(key));
  delete metadata.annotations;
  const kept = annotations.length > 0 ? { annotations: Object.fromEntries(annotations) } : {};
  const wanted = { ...rest, metadata: { ...metadata, ...kept } } as KubeObject;
  if (wanted.kind !== 'Secret' || !wanted.stringData) return wanted;
  const { type, ...defaulted } = withDefaults(wanted);
  return { ...defaulted, ...(wanted.type !== undefined && { type: type! }) };
}

/** Without the names that identify the object: nobody owns those. */
function ownable(object: KubeObject): Plain {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const { name: _name, namespace: _namespace, generateName: _generateName, ...own } = metadata;
  return { ...rest, metadata: own };
}

export function isFieldsAnnotation(key: string): boolean {
  return key.startsWith(fieldsAnnotationPrefix);
}

export function fieldSetsOf(object: KubeObject): Map<string, FieldSet> {
  const entries = Object.entries(object.metadata.annotations ?? {}).filter(([key]) => isFieldsAnnotation(key));
  return new Map(entries.map(([key, text]) => [key.slice(fieldsAnnotationPrefix.length), readFieldSet(text)]));
}

/** A pod takes over its template's annotations, where a client may have written anything: that owns nothing. */
function readFieldSet(text: string): FieldSet {
  try {
    const set: unknown = JSON.parse(text);
    return typeof set === 'object' && set !== null && !Array.isArray(set) ? (set as FieldSet) : {};
  } catch {
    return {};
  }
}

/** Replaces all field sets of the object with these. */
function withFieldSets<T extends KubeObject>(object: T, sets: ReadonlyMap<string, FieldSet>): T {
  const plain = Object.entries(object.metadata.annotations ?? {}).filter(([key]) => !isFieldsAnnotation(key));
  const kept = [...sets].map(([manager, set]) => [`${fieldsAnnotationPrefix}${manager}`, JSON.stringify(set)] as const);
  const { annotations: _replaced, ...metadata } = object.metadata;
  const all = [...plain, ...kept];
  return { ...object, metadata: { ...metadata, ...(all.length > 0 && { annotations: Object.fromEntries(all) }) } };
}
