/**
 * Objects to and from protobuf. In memory an object is plain data in Kubernetes' JSON form; on the wire and in etcd it
 * is the message of its kind. protobufjs keeps presence (an explicit 0 or false stays set) and gives bytes as base64.
 * Fields of a newer schema pass through unseen (unknown.ts).
 */
import type protobuf from 'protobufjs/light.js';
import type { KindMap, KubeObject, ObjectEnvelope } from '../../proto/gen/types.ts';
import { GantryError } from '../errors.ts';
import { decodePod, type PodParts } from './pod-codec.ts';
import { type Kind, kindInfo, kinds, messageType } from './schema.ts';
import { decodeWhole } from './unknown.ts';

const asText = { longs: Number, bytes: String };
const asBuffers = { longs: Number };

/** Plain data of any message; `bytesAs` says how bytes fields come out. */
export function decodePlain(type: protobuf.Type, bytes: Uint8Array, bytesAs: 'base64' | 'buffer'): object {
  return decodeWhole(type, bytes, bytesAs === 'base64' ? asText : asBuffers);
}

export function encodeMessage(typeName: string, plain: object): Uint8Array {
  return messageType(typeName).encode(plain).finish();
}

export function decodeMessage<T extends object>(typeName: string, bytes: Uint8Array): T {
  return decodePlain(messageType(typeName), bytes, 'base64') as T;
}

const podParts: PodParts = {
  metadata: messageType('ObjectMeta'),
  spec: messageType('PodSpec'),
  status: messageType('PodStatus'),
  decode: (type, bytes) => decodePlain(type, bytes, 'base64'),
};

/** Bytes for the store; resourceVersion is left out (it is the key's mod revision). */
export function encodeObject(object: KubeObject): Uint8Array {
  const { resourceVersion: _stored, ...metadata } = object.metadata;
  return kindInfo(object.kind)
    .type.encode({ ...object, metadata })
    .finish();
}

export function decodeObject<K extends Kind>(kind: K, bytes: Uint8Array, modRevision?: bigint): KindMap[K] {
  const { type } = kindInfo(kind);
  const known = kind === 'Pod' ? decodePod(bytes, podParts) : undefined;
  const object = (known ?? decodePlain(type, bytes, 'base64')) as KindMap[K];
  if (modRevision !== undefined) object.metadata.resourceVersion = modRevision.toString();
  return object;
}

const memberOfKind = new Map<string, string>(kinds.map(({ kind }) => [kind, kind[0]!.toLowerCase() + kind.slice(1)]));

/** An ObjectEnvelope has one member, named after the kind in lower camel case. */
export function toEnvelope(object: KubeObject): ObjectEnvelope {
  return { [memberOfKind.get(kindInfo(object.kind).kind)!]: object };
}

const infoOfMember = new Map(kinds.map((info) => [memberOfKind.get(info.kind)!, info]));

/**
 * Undefined when the envelope is empty: the sender's kind is one that we do not know. Its member says what the object is,
 * so that whoever fills in a message need not say it again.
 */
export function fromEnvelope(envelope: object | undefined): KubeObject | undefined {
  for (const member in envelope) {
    const object = (envelope as Record<string, Partial<KubeObject>>)[member]!;
    const info = object.kind && object.apiVersion ? undefined : infoOfMember.get(member);
    // In place: what of the message we do not know is kept with this very object.
    if (info)
      Object.assign(object, { kind: object.kind || info.kind, apiVersion: object.apiVersion || info.apiVersion });
    return object as KubeObject;
  }
  return undefined;
}

/** The object of a request; kinds that we do not know arrive as an empty envelope. */
export function receivedObject(envelope: ObjectEnvelope | undefined): KubeObject {
  const object = fromEnvelope(envelope);
  if (!envelope || !object) {
    throw new GantryError(
      'invalidArgument',
      'object: required; the request has none, or one of a kind that Gantry lacks',
    );
  }
  const kind = infoOfMember.get(Object.keys(envelope)[0]!)?.kind;
  if (kind !== undefined && object.kind !== kind) {
    const message = `kind: the request holds a ${kind}, which calls itself ${JSON.stringify(object.kind)}; leave it out`;
    throw new GantryError('invalidArgument', message);
  }
  if (!object.metadata) throw new GantryError('invalidArgument', `metadata: required; the ${object.kind} has none`);
  return object;
}
