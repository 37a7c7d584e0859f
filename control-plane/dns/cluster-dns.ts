/** DNS served by a control plane replica from its mirror of the store: for clients outside the nodes. */

import type { Clock } from '../../lib/clock.ts';
import type { AnswerOptions } from '../../lib/dns/answer.ts';
import { dnsKinds, type FollowedRecords, followRecords } from '../../lib/dns/follow-records.ts';
import { type DnsListener, listenDns } from '../../lib/dns/listener.ts';
import { resolvConfServers } from '../../lib/dns/resolv-conf.ts';
import { createResponder } from '../../lib/dns/respond.ts';
import { createUpstream, parseServer, type Server, type Upstream } from '../../lib/dns/upstream.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import { createRecursion } from './recursion.ts';

export interface ClusterDnsOptions {
  /** `10.88.0.2:53`, `0.0.0.0:5353`. */
  readonly listen: string;
  /** `cluster.local` */
  readonly zone: string;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  /** The address the nodes answer on. */
  readonly dnsIP: string;
  readonly state: Pick<ClusterState, 'list' | 'onChange' | 'synced'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Servers for other names, `10.0.0.1` or `10.0.0.1:5353`. Default: those of the machine's resolv.conf. */
  readonly upstreams?: readonly string[];
  /** CIDRs whose clients may ask for other names, beside pods, nodes and this machine. */
  readonly recursionFrom?: readonly string[];
}

export async function startClusterDns(options: ClusterDnsOptions): Promise<DnsListener> {
  const { address, port } = parseListen(options.listen);
  const records = followState(options.state);
  const recursion = createRecursion(options, [address]);
  const responder = createResponder({
    ...answerOptions(options),
    records: () => records.current(),
    upstream: clusterUpstream(options, [{ address, port }]),
    mayRecurse: recursion.mayRecurse,
    random: options.random,
    log: options.log,
  });
  const listener = await listenDns({ address, port, responder, log: options.log });
  return {
    ...listener,
    async stop() {
      records.stop();
      recursion.stop();
      await listener.stop();
    },
  };
}

/** The cluster's pods ask their own node: pods are left out, and with them the search paths resolved for them. */
export function followState(state: ClusterDnsOptions['state']): FollowedRecords {
  return followRecords({
    reader: { list: (kind) => (kind === 'Pod' ? [] : state.list(kind)) },
    isReady: () => state.synced,
    onChange: (callback) =>
      state.onChange((changes) => {
        if (changes.some(({ object, previous }) => dnsKinds.includes((object ?? previous)!.kind))) callback();
      }),
  });
}

export function answerOptions(options: Omit<ClusterDnsOptions, 'listen'>): AnswerOptions {
  const { zone, clusterCIDR, serviceCIDR, dnsIP } = options;
  return { zone, reverseCIDRs: [clusterCIDR, serviceCIDR], serverIP: dnsIP };
}

export function clusterUpstream(options: Omit<ClusterDnsOptions, 'listen'>, own: readonly Server[]): Upstream {
  const { clock, random, upstreams, dnsIP } = options;
  const fixed = upstreams?.map(parseServer);
  const servers = fixed ? () => fixed : resolvConfServers([...own, { address: dnsIP, port: 53 }], clock);
  return createUpstream({ servers, clock, random });
}

function parseListen(listen: string): Server {
  const match = /^(.+):(\d+)$/.exec(listen);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) {
    throw new GantryError('invalidArgument', `--dns-listen ${listen}: expected ADDRESS:PORT, for example 0.0.0.0:53`);
  }
  return { address: match[1]!, port };
}
