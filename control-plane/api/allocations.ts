/**
 * Addresses and ports of services: chosen here, taken in the transaction that writes the service (the key must be
 * absent), given back in the one that removes or changes it.
 */
import { GantryError } from '../../lib/errors.ts';
import {
  allocationKeysOf,
  nodePortKey,
  nodePortPrefix,
  serviceIPKey,
  serviceIPPrefix,
} from '../../lib/model/allocations.ts';
import { at, type Problem, problemsError } from '../../lib/model/problems.ts';
import { highestNodePort, lowestNodePort } from '../../lib/model/validation/service.ts';
import type { Random } from '../../lib/random.ts';
import { absent, type Compare, deleteOf, type Operation, putOf, type Store } from '../../lib/store/store.ts';
import type { KubeObject, Service } from '../../proto/gen/types.ts';
import { ipToNumber, numberToIP } from '../network/pod-ips.ts';
import type { ApiConfig, ApiDependencies } from './dependencies.ts';
import { nameOf } from './objects.ts';

/** One of `size` numbers that is not taken: the first free one from a place chosen by chance. */
export function chooseFree(size: number, isFree: (index: number) => boolean, random: Random): number | undefined {
  const start = Math.floor(random.next() * size);
  for (let step = 0; step < size; step += 1) {
    const index = (start + step) % size;
    if (isFree(index)) return index;
  }
  return undefined;
}

/** Undefined when all are taken. The network's own address, the first and the last, and the DNS address are nobody's. */
export function chooseServiceIP(
  { serviceCIDR, dnsIP }: Pick<ApiConfig, 'serviceCIDR' | 'dnsIP'>,
  taken: ReadonlySet<string>,
  random: Random,
): string | undefined {
  const { base, size } = rangeOf(serviceCIDR);
  const first = base + 2;
  const isFree = (index: number): boolean => {
    const ip = numberToIP(first + index);
    return ip !== dnsIP && !taken.has(ip);
  };
  const index = chooseFree(Math.max(0, size - 3), isFree, random);
  return index === undefined ? undefined : numberToIP(first + index);
}

function rangeOf(cidr: string): { readonly base: number; readonly size: number } {
  const [network = '', bits = '32'] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  return { base: Math.floor(ipToNumber(network) / size) * size, size };
}

function serviceIPProblem(ip: string, { serviceCIDR, dnsIP }: ApiConfig): string | undefined {
  const { base, size } = rangeOf(serviceCIDR);
  const offset = ipToNumber(ip) - base;
  if (offset < 0 || offset >= size) return `${ip} is not in the service range ${serviceCIDR}; leave it out to get one`;
  if (ip === dnsIP) return `${ip} is the address of the cluster's DNS; leave it out to get another`;
  return offset < 2 || offset === size - 1 ? `${ip} is reserved; leave it out to get another` : undefined;
}

export interface Claim<T extends KubeObject> {
  readonly object: T;
  readonly compare: readonly Compare[];
  readonly operations: readonly Operation[];
}

/** The object with what it still lacks, and what its transaction must hold for that. */
export async function claimAllocations(
  dependencies: ApiDependencies,
  object: KubeObject,
  old?: KubeObject,
): Promise<Claim<KubeObject>> {
  if (object.kind !== 'Service') return { object, compare: [], operations: [] };
  const held = old ? allocationKeysOf(old) : [];
  const complete = await withAddresses(dependencies, object, held);
  const wanted = allocationKeysOf(complete);
  const taken = wanted.filter((key) => !held.includes(key));
  const given = held.filter((key) => !wanted.includes(key));
  const uid = Buffer.from(complete.metadata.uid ?? '');
  return {
    object: complete,
    compare: taken.map(absent),
    operations: [...taken.map((key) => putOf(key, uid)), ...given.map(deleteOf)],
  };
}

async function withAddresses(
  { store, random, config }: ApiDependencies,
  service: Service,
  held: readonly string[],
): Promise<Service> {
  const { spec } = service;
  const problems: Problem[] = [];
  const result = { ...spec };
  if (spec.type !== 'ExternalName' && spec.clusterIP !== 'None') {
    const taken = await takenOf(store, serviceIPPrefix);
    if (!spec.clusterIP) {
      const ip = chooseServiceIP(config, taken, random) ?? exhausted(`service range ${config.serviceCIDR}`);
      Object.assign(result, { clusterIP: ip, clusterIPs: [ip] });
    } else if (!held.includes(serviceIPKey(spec.clusterIP))) {
      const message = serviceIPProblem(spec.clusterIP, config) ?? takenProblem(spec.clusterIP, taken);
      if (message) problems.push({ path: 'spec.clusterIP', message });
    }
  }
  if (spec.type === 'NodePort' && spec.ports) {
    const taken = await takenOf(store, nodePortPrefix);
    for (const [index, { nodePort }] of spec.ports.entries()) {
      if (!nodePort || held.includes(nodePortKey(nodePort))) continue;
      const message = takenProblem(String(nodePort), taken);
      if (message) problems.push({ path: at(at('spec.ports', index), 'nodePort'), message });
    }
    const used = new Set([...taken, ...spec.ports.map((port) => String(port.nodePort))]);
    result.ports = spec.ports.map((port) =>
      port.nodePort ? port : { ...port, nodePort: chooseNodePort(used, random) },
    );
  }
  if (problems.length > 0) throw problemsError(nameOf(service), problems);
  return { ...service, spec: result };
}

function chooseNodePort(used: Set<string>, random: Random): number {
  const isFree = (index: number): boolean => !used.has(String(lowestNodePort + index));
  const index = chooseFree(highestNodePort - lowestNodePort + 1, isFree, random) ?? exhausted('range of node ports');
  used.add(String(lowestNodePort + index));
  return lowestNodePort + index;
}

async function takenOf(store: Store, prefix: string): Promise<Set<string>> {
  const { items } = await store.list(prefix, { keysOnly: true });
  return new Set(items.map(({ key }) => key.slice(prefix.length)));
}

function takenProblem(value: string, taken: ReadonlySet<string>): string | undefined {
  return taken.has(value) ? `${value} is already taken by another service; leave it out to get a free one` : undefined;
}

function exhausted(what: string): never {
  throw new GantryError('resourceExhausted', `the ${what} is used up; delete services that are not needed`);
}
