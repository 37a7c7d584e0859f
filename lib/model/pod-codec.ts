/**
 * Pods to and from bytes, of which there are more than of everything else together: replicas of one workload differ in
 * their spec by nodeName alone. So the bytes of a spec that was decoded before are not decoded again but share its
 * object, and whoever writes such a spec writes those bytes.
 *
 * It rests on objects never being changed in place, only replaced. What is not the plain case (fields of a newer schema,
 * a field that appears twice) is left to the general codec.
 */
import protobuf from 'protobufjs/light.js';
import type { ObjectMeta, Pod, PodSpec, PodStatus } from '../../proto/gen/types.ts';
import { shared } from './shared-messages.ts';
import { asciiText } from './texts.ts';
import { hasUnknown, unknownFields } from './unknown.ts';

/** Field numbers of core.proto. */
const podFields = { apiVersion: 1, kind: 2, metadata: 3, spec: 4, status: 5 } as const;
const nodeNameField = 10;
const lengthDelimited = 2;
const tagOf = (field: number): number => (field << 3) | lengthDelimited;

type Shared = Omit<PodSpec, 'nodeName'>;

interface KnownSpec {
  readonly spec: Shared;
  /** Of all of it. */
  readonly bytes: Uint8Array;
}

/** The types of the parts of a pod, and how they are decoded. */
export interface PodParts {
  readonly metadata: protobuf.Type;
  readonly spec: protobuf.Type;
  readonly status: protobuf.Type;
  decode(type: protobuf.Type, bytes: Uint8Array): object;
}

/** By their bytes. When there are more, all are forgotten and found again. */
const mostSpecs = 4096;
const bySpecBytes = new Map<string, KnownSpec>();
/** By the one part that no spec is without. */
const byContainers = new WeakMap<object, KnownSpec>();

/** Undefined when it is not the plain case. */
export function decodePod(bytes: Uint8Array, parts: PodParts): Pod | undefined {
  const fields = fieldsOf(bytes);
  if (!fields) return undefined;
  const [apiVersion, kind, metadata, spec, status] = Object.values(podFields).map((field) => fields.get(field));
  if (!apiVersion || !kind || !metadata || !spec || fields.size > (status ? 5 : 4)) return undefined;
  const decodedSpec = decodeSpec(bytes.subarray(spec.start, spec.end), parts);
  if (!decodedSpec) return undefined;
  const pod: Pod = {
    apiVersion: text(bytes, apiVersion) as Pod['apiVersion'],
    kind: text(bytes, kind) as Pod['kind'],
    metadata: parts.decode(parts.metadata, bytes.subarray(metadata.start, metadata.end)) as ObjectMeta,
    spec: decodedSpec,
    ...(status && { status: parts.decode(parts.status, bytes.subarray(status.start, status.end)) as PodStatus }),
  };
  if (hasUnknown(pod.metadata) || (pod.status && hasUnknown(pod.status))) return undefined;
  shareParts(pod);
  return pod;
}

/** Of a pod that nobody else has yet. */
function shareParts({ metadata, status }: Pod): void {
  const { labels, ownerReferences } = metadata;
  if (labels) metadata.labels = shared(labels);
  if (ownerReferences) metadata.ownerReferences = ownerReferences.map(shared);
  if (status?.conditions) status.conditions = status.conditions.map(shared);
}

/** Lets `encode` of PodSpec write the bytes by which a spec is known, wherever it stands: in a pod, a list, a watch. */
export function passKnownSpecs(type: protobuf.Type): void {
  const { setup } = type;
  type.setup = function passing(this: protobuf.Type): protobuf.Type {
    setup.call(this);
    const encode = this.encode as Encode;
    this.encode = ((spec, writer, depth) => {
      const known = spec.containers && byContainers.get(spec.containers);
      if (!known || !isSameSpec(spec, known.spec)) return encode(spec, writer, depth);
      const written = (writer ?? protobuf.Writer.create()).raw(known.bytes);
      return spec.nodeName === undefined ? written : written.uint32(tagOf(nodeNameField)).string(spec.nodeName);
    }) satisfies Encode as protobuf.Type['encode'];
    return this;
  };
}

/** As the generated functions of a type call those of its fields' types. */
type Encode = (plain: PodSpec, writer?: protobuf.Writer, depth?: number) => protobuf.Writer;

function decodeSpec(bytes: Uint8Array, parts: PodParts): PodSpec | undefined {
  const name = fieldsOf(bytes, nodeNameField)?.get(nodeNameField);
  const key = name ? latin1(bytes, 0, name.tagStart) + latin1(bytes, name.end, bytes.length) : latin1(bytes);
  let known = bySpecBytes.get(key);
  if (!known) {
    const rest = name ? without(bytes, name) : bytes;
    const spec = parts.decode(parts.spec, rest) as PodSpec;
    if (hasUnknown(spec) || spec.containers === undefined || spec.nodeName !== undefined) return undefined;
    known = { spec, bytes: Uint8Array.from(rest) };
    if (bySpecBytes.size >= mostSpecs) bySpecBytes.clear();
    bySpecBytes.set(key, known);
    byContainers.set(spec.containers, known);
  }
  return name ? { ...known.spec, nodeName: text(bytes, name) } : known.spec;
}

/** The same values, of which the objects are the very same. */
function isSameSpec(spec: PodSpec, known: Shared): boolean {
  let fields = 0;
  for (const key in spec) {
    if (key === 'nodeName') continue;
    fields += 1;
    if (spec[key as keyof Shared] !== known[key as keyof Shared]) return false;
  }
  for (const _key in known) fields -= 1;
  return fields === 0 && !(unknownFields in spec);
}

/** One length-delimited field: where its tag begins, and its content. */
interface Slice {
  readonly tagStart: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The length-delimited fields of a message; of only one of them when `only` is given. Undefined when one of those
 * appears twice, when one of another form is among them (not when only one is asked for), or the bytes are broken.
 */
function fieldsOf(bytes: Uint8Array, only?: number): Map<number, Slice> | undefined {
  const reader = protobuf.Reader.create(bytes);
  const found = new Map<number, Slice>();
  while (reader.pos < reader.len) {
    const tagStart = reader.pos;
    const tag = reader.uint32();
    const field = tag >>> 3;
    if ((tag & 7) !== lengthDelimited) {
      if (only === undefined) return undefined;
      reader.skipType(tag & 7);
      continue;
    }
    const length = reader.uint32();
    const start = reader.pos;
    if (start + length > reader.len) return undefined;
    reader.pos = start + length;
    if (only !== undefined && field !== only) continue;
    if (found.has(field)) return undefined;
    found.set(field, { tagStart, start, end: start + length });
  }
  return found;
}

function without(bytes: Uint8Array, { tagStart, end }: Slice): Uint8Array {
  const rest = new Uint8Array(bytes.length - (end - tagStart));
  rest.set(bytes.subarray(0, tagStart));
  rest.set(bytes.subarray(end), tagStart);
  return rest;
}

function text(bytes: Uint8Array, { start, end }: Slice): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  return asciiText(buffer, 0, buffer.length) ?? buffer.toString('utf8');
}

function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1', start, end);
}
