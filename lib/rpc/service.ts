/** gRPC service definitions made from the checked-in schema: plain data in, plain data out. */
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import type protobuf from 'protobufjs/light.js';
import type { Services } from '../../proto/gen/types.ts';
import { decodePlain } from '../model/codec.ts';
import { schemaRoot } from '../model/schema.ts';
import { encodedOnce } from './sent-to-many.ts';

export type ServiceName = keyof Services;
export type Methods<S extends ServiceName> = Services[S];
export type MethodShape = { kind: 'unary' | 'serverStream' | 'bidi'; request: object; response: object };

export type MethodKind = MethodShape['kind'];

const packages: Readonly<Record<string, string>> = { Health: 'grpc.health.v1' };

export function fullServiceName(name: ServiceName): string {
  return `${packages[name] ?? 'gantry.v1'}.${name}`;
}

export function methodKind(method: { requestStream: boolean; responseStream: boolean }): MethodKind {
  if (method.requestStream) return 'bidi';
  return method.responseStream ? 'serverStream' : 'unary';
}

export function serviceDefinition(name: ServiceName): ServiceDefinition {
  const service = schemaRoot.lookupService(fullServiceName(name)).resolveAll() as protobuf.Service;
  return Object.fromEntries(service.methodsArray.map((method) => [method.name, methodDefinition(service, method)]));
}

function methodDefinition(service: protobuf.Service, method: protobuf.Method): MethodDefinition<object, object> {
  const request = codecOf(method.resolvedRequestType!);
  const response = codecOf(method.resolvedResponseType!);
  return {
    path: `/${service.fullName.slice(1)}/${method.name}`,
    originalName: method.name,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

function codecOf(type: protobuf.Type): {
  serialize: (plain: object) => Buffer;
  deserialize: (bytes: Buffer) => object;
} {
  // Stream messages (logs, exec) carry raw bytes; inside objects bytes are base64 text, as in JSON.
  const bytesAs = type.fieldsArray.some((field) => field.type === 'bytes') ? 'buffer' : 'base64';
  const encode = (plain: object): Buffer => {
    const bytes = type.encode(plain).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  return {
    serialize: (plain) => encodedOnce(plain, encode),
    deserialize: (bytes) => decodePlain(type, bytes, bytesAs),
  };
}
