/**
 * DNS for the pods of this node, answered from the agent's own slice, so that it outlives the control plane. The
 * cluster's DNS address belongs to the loopback device of every node: whichever node a pod is on, it asks its own.
 */
import type { Clock } from '../../lib/clock.ts';
import { dnsKinds, followRecords } from '../../lib/dns/follow-records.ts';
import { listenDns } from '../../lib/dns/listener.ts';
import { resolvConfServers } from '../../lib/dns/resolv-conf.ts';
import { createResponder } from '../../lib/dns/respond.ts';
import { createUpstream, parseServer } from '../../lib/dns/upstream.ts';
import type { Log } from '../../lib/log.ts';
import type { Exec } from '../../lib/process.ts';
import type { Random } from '../../lib/random.ts';
import type { SliceReader } from '../session/slice.ts';

export interface NodeDnsOptions {
  readonly dnsIP: string;
  /** `cluster.local` */
  readonly zone: string;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly slice: SliceReader;
  readonly exec: Exec;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Servers for other names, `10.0.0.1` or `10.0.0.1:5353`. Default: those of the machine's resolv.conf. */
  readonly upstreams?: readonly string[];
  /** Default 53. */
  readonly port?: number;
}

export interface NodeDns {
  /** The address stays on the machine. */
  stop(): Promise<void>;
  /** Stops, and takes the address off the machine. */
  teardown(): Promise<void>;
}

export async function startNodeDns(options: NodeDnsOptions): Promise<NodeDns> {
  const { dnsIP, slice, exec, clock, random, log, port = 53 } = options;
  // Scope host: never chosen as the source of anything the machine sends elsewhere.
  await exec.check(['ip', '-batch', '-'], {
    input: `link set lo up\naddress replace ${dnsIP}/32 dev lo scope host\n`,
    timeoutMs: 15_000,
  });
  const own = [{ address: dnsIP, port }];
  const fixed = options.upstreams?.map(parseServer);
  const records = followRecords({
    reader: slice,
    isReady: () => slice.revision !== undefined,
    onChange: (callback) =>
      slice.onChange(({ kinds }) => {
        if (kinds.has('Pod') || dnsKinds.some((kind) => kinds.has(kind as 'Service'))) callback();
      }),
  });
  const responder = createResponder({
    zone: options.zone,
    reverseCIDRs: [options.clusterCIDR, options.serviceCIDR],
    serverIP: dnsIP,
    records: () => records.current(),
    upstream: createUpstream({ servers: fixed ? () => fixed : resolvConfServers(own, clock), clock, random }),
    random,
    log,
  });
  const listener = await listenDns({ address: dnsIP, port, responder, log });
  const stop = async (): Promise<void> => {
    records.stop();
    await listener.stop();
  };
  return {
    stop,
    async teardown() {
      await stop();
      await exec.run(['ip', 'address', 'delete', `${dnsIP}/32`, 'dev', 'lo'], { timeoutMs: 15_000 });
    },
  };
}
