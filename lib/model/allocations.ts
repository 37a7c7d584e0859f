/**
 * Addresses, ports and ranges that at most one object may hold are keys in the store beside the objects: taken with the
 * object (compare absent) and given back with it, in one transaction. The value is the holder's uid (node ranges: name).
 */
import type { KubeObject, Service } from '../../proto/gen/types.ts';
import { storeRoot } from './keys.ts';

export const allocationRoot = `${storeRoot}allocations/`;
export const podIPPrefix = `${allocationRoot}pod-ips/`;
export const serviceIPPrefix = `${allocationRoot}service-ips/`;
export const nodePortPrefix = `${allocationRoot}node-ports/`;
export const nodeCIDRPrefix = `${allocationRoot}node-cidrs/`;

export const podIPKey = (ip: string): string => `${podIPPrefix}${ip}`;
export const serviceIPKey = (ip: string): string => `${serviceIPPrefix}${ip}`;
export const nodePortKey = (port: number): string => `${nodePortPrefix}${port}`;
/** `10.42.1.0/24` is kept under `10.42.1.0`. */
export const nodeCIDRKey = (cidr: string): string => `${nodeCIDRPrefix}${cidr.split('/')[0]}`;

/** Every allocation key the object holds; whoever removes the object deletes these in the same transaction. */
export function allocationKeysOf(object: KubeObject): readonly string[] {
  switch (object.kind) {
    case 'Pod':
      // In the host's network the address is the node's, which many pods share and none takes.
      return object.status?.podIP && !object.spec.hostNetwork ? [podIPKey(object.status.podIP)] : [];
    case 'Service':
      return serviceKeys(object);
    default:
      // A node's range stays under its name when the node is deleted: its pods may still run. Joining takes it over
      // when no other range is free (control-plane/session).
      return [];
  }
}

function serviceKeys({ spec }: Service): readonly string[] {
  const ip = spec.clusterIP && spec.clusterIP !== 'None' ? [serviceIPKey(spec.clusterIP)] : [];
  const ports = (spec.ports ?? []).flatMap((port) => (port.nodePort ? [nodePortKey(port.nodePort)] : []));
  return [...ip, ...new Set(ports)];
}
