/**
 * Who may ask a control plane for names that are not the cluster's. Its DNS stands where anybody may reach it, and a
 * resolver that is open to all of them amplifies attacks (RFC 5358): pods, nodes, this machine, and whom
 * --dns-recursion-from names. Everybody is told the cluster's own names.
 */
import { isAddress, isInside } from '../../lib/dns/address.ts';
import type { ClusterState } from '../state/cluster-state.ts';

export interface RecursionOptions {
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  /** CIDRs beside them. */
  readonly recursionFrom?: readonly string[];
  readonly state: Pick<ClusterState, 'list' | 'onChange'>;
}

export interface Recursion {
  mayRecurse(clientAddress: string): boolean;
  stop(): void;
}

const loopback = '127.0.0.0/8';

/** `own`: addresses of this machine. */
export function createRecursion(options: RecursionOptions, own: readonly string[]): Recursion {
  const { clusterCIDR, serviceCIDR, recursionFrom = [], state } = options;
  const ranges = [loopback, clusterCIDR, serviceCIDR, ...recursionFrom];
  let nodes: ReadonlySet<string> | undefined;
  const cancel = state.onChange((changes) => {
    if (changes.some(({ object, previous }) => (object ?? previous)!.kind === 'Node')) nodes = undefined;
  });
  return {
    mayRecurse(clientAddress) {
      const address = clientAddress.replace(/^::ffff:/, '');
      if (address === '::1' || own.includes(address)) return true;
      if (isAddress(address) && ranges.some((range) => isInside(range, address))) return true;
      nodes ??= nodeAddresses(state);
      return nodes.has(address);
    },
    stop: cancel,
  };
}

function nodeAddresses(state: RecursionOptions['state']): ReadonlySet<string> {
  return new Set(state.list('Node').flatMap(({ status }) => (status?.addresses ?? []).map(({ address }) => address)));
}
