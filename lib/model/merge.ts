/** The three steps of an apply on plain objects: take away defaults, take away what is no longer applied, lay on top. */
import type protobuf from 'protobufjs/light.js';
import { sameValue } from './equal.ts';
import { below, elementKey, elementsByKey, type FieldSet, mergeKeyOf, messageOf, type Plain } from './fields.ts';

type Part = FieldSet | 1 | undefined;

/** At most one of these can be set in a message: setting one takes the others away. */
const unions: Readonly<Record<string, readonly string[]>> = {
  Volume: ['emptyDir', 'configMap', 'secret', 'hostPath', 'persistentVolumeClaim'],
  PersistentVolumeSpec: ['local', 'hostPath'],
  EnvVar: ['value', 'valueFrom'],
  EnvVarSource: ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef'],
  Probe: ['exec', 'httpGet', 'tcpSocket'],
  LifecycleHandler: ['exec', 'httpGet', 'sleep'],
};

/** Only the fields in `owned`. */
export function project(type: protobuf.Type, plain: Plain, owned: Part): Plain {
  return rebuild(type, plain, (field, value, name) => {
    const part = below(owned, name);
    if (part === undefined || part === 1) return part === 1 ? value : undefined;
    return mapParts(field, value, (message, inner, key) => {
      const innerPart = key === undefined ? part : below(part, key);
      if (innerPart === undefined) return undefined;
      return message && innerPart !== 1 ? project(message, inner as Plain, innerPart) : inner;
    });
  });
}

/** Without the fields that nobody owns and that are as `defaulted` has them: defaulting will make them anew. */
export function withoutDefaults(type: protobuf.Type, plain: Plain, defaulted: Plain | undefined, owned: Part): Plain {
  return rebuild(type, plain, (field, value, name) => {
    const part = below(owned, name);
    const standard = defaulted?.[name];
    if (part === 1 || standard === undefined) return value;
    if (part === undefined && sameValue(value, standard)) return undefined;
    const standards = entriesOf(field, standard);
    return mapParts(field, value, (message, inner, key) => {
      const innerPart = key === undefined ? part : below(part, key);
      const innerStandard = key === undefined ? standard : standards?.get(key);
      if (message) return withoutDefaults(message, inner as Plain, innerStandard as Plain | undefined, innerPart);
      return innerPart === undefined && sameValue(inner, innerStandard) ? undefined : inner;
    });
  });
}

/** Without what was applied before (`old`), is not applied now (`fresh`), and nobody else applied (`others`). */
export function withoutDropped(type: protobuf.Type, plain: Plain, old: Part, fresh: Part, others: Part): Plain {
  return rebuild(type, plain, (field, value, name) => {
    const [was, is, other] = [below(old, name), below(fresh, name), below(others, name)];
    if (was === undefined || is === 1 || other === 1) return value;
    if (was === 1) return is === undefined && other === undefined ? undefined : value;
    const left = mapParts(field, value, (message, inner, key) => {
      if (key === undefined) return withoutDropped(message!, inner as Plain, was, is, other);
      const [innerWas, innerIs, innerOther] = [below(was, key), below(is, key), below(other, key)];
      if (innerWas === undefined) return inner;
      // An element goes with all that the cluster wrote into it, such as a port's nodePort.
      if (innerIs === undefined && innerOther === undefined) return undefined;
      return message ? withoutDropped(message, inner as Plain, innerWas, innerIs, innerOther) : inner;
    });
    const emptied = is === undefined && other === undefined && isEmpty(left);
    return emptied ? undefined : left;
  });
}

function isEmpty(value: unknown): boolean {
  return value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

/** `manifest` on top of `live`: messages and maps by name, keyed lists by element, everything else replaced. */
export function laidOver(type: protobuf.Type, live: Plain, manifest: Plain): Plain {
  const result: Plain = { ...live };
  for (const [name, value] of Object.entries(manifest)) {
    const field = type.fields[name];
    result[name] = field ? laidOverValue(field, live[name], value) : value;
  }
  const members = unions[type.name]?.filter((member) => manifest[member] !== undefined) ?? [];
  if (members.length > 0) {
    for (const member of unions[type.name]!) if (!members.includes(member)) delete result[member];
  }
  return result;
}

function laidOverValue(field: protobuf.Field, live: unknown, manifest: unknown): unknown {
  if (live === undefined) return manifest;
  if (field.map) return { ...(live as Plain), ...(manifest as Plain) };
  const message = messageOf(field);
  if (!message) return manifest;
  if (!field.repeated) return laidOver(message, live as Plain, manifest as Plain);
  const names = mergeKeyOf(field);
  return names ? laidOverList(message, names, live as Plain[], manifest as Plain[]) : manifest;
}

/** Elements of others keep their places; ours fill the places that ours had, in our order, and go on at the end. */
function laidOverList(type: protobuf.Type, names: readonly string[], live: Plain[], manifest: Plain[]): Plain[] {
  const mine = elementsByKey(names, manifest);
  const existing = elementsByKey(names, live);
  if (!mine || !existing) return manifest;
  const merged = [...mine].map(([key, element]) => {
    const before = existing.get(key);
    return before ? laidOver(type, before, element) : element;
  });
  const places = live.map((element) => (mine.has(elementKey(names, element)) ? merged.shift()! : element));
  return [...places, ...merged];
}

/** A copy of a message with every field passed through `convert`; undefined leaves a field out. */
function rebuild(
  type: protobuf.Type,
  plain: Plain,
  convert: (field: protobuf.Field, value: unknown, name: string) => unknown,
): Plain {
  const result: Plain = {};
  for (const [name, value] of Object.entries(plain)) {
    const field = Object.hasOwn(type.fields, name) ? type.fields[name] : undefined;
    const converted = field && value !== undefined ? convert(field, value, name) : value;
    if (converted !== undefined) result[name] = converted;
  }
  return result;
}

/**
 * The parts of a field's value through `convert`: the message itself (key undefined), or each entry of a map and each
 * element of a keyed list. A value without parts comes back as it is; a collection that becomes empty is undefined.
 */
function mapParts(
  field: protobuf.Field,
  value: unknown,
  convert: (message: protobuf.Type | undefined, inner: unknown, key: string | undefined) => unknown,
): unknown {
  const message = messageOf(field);
  if (field.map) {
    const entries = Object.entries(value as Plain).map(
      ([key, inner]) => [key, convert(undefined, inner, key)] as const,
    );
    const kept = entries.filter(([, inner]) => inner !== undefined);
    return kept.length === 0 ? undefined : Object.fromEntries(kept);
  }
  if (!message) return value;
  if (!field.repeated) return convert(message, value, undefined);
  const names = mergeKeyOf(field);
  if (!names || !elementsByKey(names, value as Plain[])) return value;
  const kept = (value as Plain[])
    .map((element) => convert(message, element, elementKey(names, element)))
    .filter((element) => element !== undefined);
  return kept.length === 0 ? undefined : kept;
}

function entriesOf(field: protobuf.Field, value: unknown): Map<string, unknown> | undefined {
  if (field.map) return new Map(Object.entries(value as Plain));
  const names = mergeKeyOf(field);
  return names && elementsByKey(names, value as Plain[]);
}
