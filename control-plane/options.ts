/** The control plane's command line. */
import { isIPv4 } from 'node:net';
import { hostname } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { GantryError } from '../lib/errors.ts';
import { type LogLevel, logLevels } from '../lib/log.ts';
import { type StrategyName, strategyNames } from './scheduler/strategies.ts';

export interface ControlPlaneFlags {
  readonly dataDir: string;
  readonly name: string;
  /** host[:port] of control planes that run, of which this one becomes another replica; empty for a cluster of its own. */
  readonly join: readonly string[];
  readonly token?: string;
  readonly tokenFile?: string;
  readonly listen: string;
  readonly joinListen: string;
  readonly advertiseAddress: string;
  readonly dnsListen: string;
  /** CIDRs whose clients may ask for names outside the cluster. */
  readonly dnsRecursionFrom: readonly string[];
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly dnsIp: string;
  readonly zone: string;
  readonly scheduler: StrategyName;
  /** host:port of an etcd cluster of one's own; empty for a local one that is started and supervised. */
  readonly etcdEndpoints: readonly string[];
  readonly etcdCacert?: string;
  readonly etcdCert?: string;
  readonly etcdKey?: string;
  readonly etcdClientPort: number;
  readonly etcdPeerPort: number;
  readonly nodeLeaseMs: number;
  readonly nodeHeartbeatMs: number;
  readonly leaderLeaseMs: number;
  readonly logLevel: LogLevel;
}

/** Prints help or a usage error and ends the process, as commander does. */
export function parseFlags(argv: readonly string[], version: string): ControlPlaneFlags {
  const command = new Command('gantry-control-plane')
    .description('API, scheduler, controllers, node sessions and DNS of a Gantry cluster')
    .version(version)
    .option('--data-dir <folder>', 'certificates, keys and the local etcd live here', '/var/lib/gantry/control-plane')
    .option('--name <name>', "this replica's name, unique among the control planes", hostname())
    .option(
      '--join <address,...>',
      'become another replica of the control plane whose join port is there',
      addresses,
      [],
    )
    .addOption(new Option('--token <token>', 'join token; only needed the first time').conflicts('tokenFile'))
    .option('--token-file <file>', 'file with the join token; only needed the first time')
    .option('--listen <address>', 'API for ctl, services and nodes', '0.0.0.0:6443')
    .option('--join-listen <address>', 'where nodes join with a token', '0.0.0.0:6444')
    .requiredOption('--advertise-address <ip>', 'required: the address at which clients and nodes reach this machine')
    .option('--dns-listen <address>', 'DNS for clients outside the nodes (default: port 53 of the advertised address)')
    .option(
      '--dns-recursion-from <cidr,...>',
      'also answer these clients names outside the cluster; pods, nodes and this machine always are (0.0.0.0/0: anybody)',
      cidrs,
      [],
    )
    .option('--cluster-cidr <cidr>', 'pod addresses, a /24 for each node', '10.42.0.0/16')
    .option('--service-cidr <cidr>', 'service addresses', '10.43.0.0/16')
    .option('--dns-ip <ip>', 'the DNS service, within the service addresses', '10.43.0.10')
    .option('--zone <name>', "the cluster's DNS zone", 'cluster.local')
    .addOption(
      new Option('--scheduler <strategy>', 'for pods that name none').choices(strategyNames).default('least-loaded'),
    )
    .option(
      '--etcd-endpoints <urls>',
      'an existing etcd cluster, comma-separated; none: a local one is started',
      endpoints,
      [],
    )
    .option('--etcd-cacert <file>', "CA of that cluster's certificates")
    .option('--etcd-cert <file>', 'client certificate for it')
    .option('--etcd-key <file>', 'key of the client certificate')
    .option('--etcd-client-port <port>', 'of the local etcd', wholeNumber, 2379)
    .option('--etcd-peer-port <port>', 'of the local etcd', wholeNumber, 2380)
    .option('--node-lease-ms <ms>', 'a node silent for this long is lost', wholeNumber, 3000)
    .option('--node-heartbeat-ms <ms>', 'how often agents send a heartbeat', wholeNumber, 1000)
    .option('--leader-lease-ms <ms>', 'how long the other replicas wait when the leader vanishes', wholeNumber, 3000)
    .addOption(new Option('--log-level <level>').choices(logLevels).default('info'));
  command.parse(argv, { from: 'user' });
  const flags = command.opts<Omit<ControlPlaneFlags, 'dnsListen'> & { dnsListen?: string }>();
  checkLease(flags);
  return { ...flags, dnsListen: flags.dnsListen ?? `${flags.advertiseAddress}:53` };
}

/** One lost heartbeat must not look like a dead node. */
function checkLease({
  nodeLeaseMs,
  nodeHeartbeatMs,
}: Pick<ControlPlaneFlags, 'nodeLeaseMs' | 'nodeHeartbeatMs'>): void {
  if (nodeLeaseMs >= 2 * nodeHeartbeatMs) return;
  throw new GantryError(
    'invalidArgument',
    `--node-lease-ms ${nodeLeaseMs} is too short for --node-heartbeat-ms ${nodeHeartbeatMs}; give at least twice as much`,
  );
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a whole number above 0.');
  return Number(text);
}

function addresses(text: string): string[] {
  const list = text.split(',').map((address) => address.trim());
  if (list.every((entry) => /^[^\s,/]+$/.test(entry))) return list;
  throw new InvalidArgumentError('expected HOST or HOST:PORT, for example 10.0.0.5:6444.');
}

function cidrs(text: string): string[] {
  const list = text.split(',').map((cidr) => cidr.trim());
  const isCidr = (cidr: string): boolean => {
    const [address = '', bits = ''] = cidr.split('/');
    return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) <= 32;
  };
  if (list.every(isCidr)) return list;
  throw new InvalidArgumentError('expected CIDRs, for example 10.0.0.0/8,192.168.0.0/16.');
}

function endpoints(text: string): string[] {
  const list = text.split(',').map((url) =>
    url
      .trim()
      .replace(/^https?:\/\//, '')
      .replace(/\/$/, ''),
  );
  if (list.every((entry) => /^.+:\d+$/.test(entry))) return list;
  throw new InvalidArgumentError('expected URLs with a port, for example https://10.0.0.5:2379.');
}
