/**
 * Objects to and from protobuf. In memory an object is plain data in Kubernetes' JSON form; on the wire and in etcd it
 * is the message of its kind. protobufjs keeps presence (an explicit 0 or false stays set) and gives bytes as base64.
 * Fields of a newer schema pass through unseen (unknown.ts).
 */
import type protobuf from 'protobufjs/light.js';
import type { KindMap, KubeObject, ObjectEnvelope } from '../../proto/gen/types.ts';
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

/** Undefined when the envelope is empty: the sender's kind is one that we do not know. */
export function fromEnvelope(envelope: object | undefined): KubeObject | undefined {
  return envelope === undefined ? undefined : (Object.values(envelope)[0] as KubeObject | undefined);
}
