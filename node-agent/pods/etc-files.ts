/** The pod's /etc/resolv.conf, /etc/hosts and /etc/hostname. Pure. */
import type { Pod } from '../../proto/gen/types.ts';

export interface DnsSettings {
  /** The node's own DNS server, as pods reach it. */
  readonly dnsIP: string;
  readonly zone: string;
  /** The node's own /etc/resolv.conf. */
  readonly nodeResolvConf: string;
}

interface Resolver {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export function renderResolvConf(pod: Pod, settings: DnsSettings): string {
  const base = baseResolver(pod, settings);
  const own = pod.spec.dnsConfig;
  const ownOptions = (own?.options ?? []).map(({ name = '', value }) => (value ? `${name}:${value}` : name));
  const overridden = new Set(ownOptions.map((option) => option.split(':')[0]));
  const nameservers = unique([...base.nameservers, ...(own?.nameservers ?? [])]).slice(0, 3);
  const searches = unique([...base.searches, ...(own?.searches ?? [])]);
  const options = [...base.options.filter((option) => !overridden.has(option.split(':')[0])), ...ownOptions];
  const lines = nameservers.map((address) => `nameserver ${address}`);
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

function baseResolver(pod: Pod, { dnsIP, zone, nodeResolvConf }: DnsSettings): Resolver {
  const { hostNetwork, dnsPolicy = 'ClusterFirst' } = pod.spec;
  if (dnsPolicy === 'None') return { nameservers: [], searches: [], options: [] };
  if (dnsPolicy === 'Default' || (dnsPolicy === 'ClusterFirst' && hostNetwork)) {
    const node = parseResolvConf(nodeResolvConf);
    if (hostNetwork) return node;
    // The node's loopback resolver is out of a pod's reach; the node's DNS server forwards to the same upstream.
    const reachable = node.nameservers.filter((address) => !address.startsWith('127.') && address !== '::1');
    return { ...node, nameservers: reachable.length > 0 ? reachable : [dnsIP] };
  }
  const namespace = pod.metadata.namespace ?? 'default';
  return { nameservers: [dnsIP], searches: [`${namespace}.svc.${zone}`, `svc.${zone}`, zone], options: ['ndots:5'] };
}

/** resolv.conf(5) */
export function parseResolvConf(text: string): Resolver {
  const nameservers: string[] = [];
  let searches: readonly string[] = [];
  let options: readonly string[] = [];
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === 'nameserver' && rest[0]) nameservers.push(rest[0]);
    if (word === 'search') searches = rest;
    if (word === 'options') options = rest;
  }
  return { nameservers, searches, options };
}

/** The pod's host name: at most 63 characters, as the kernel and DNS want it. */
export function podHostname(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '');
}

export function renderHosts(pod: Pod, zone: string, nodeHosts: string): string {
  const aliases = (pod.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`);
  if (pod.spec.hostNetwork) return nodeHosts + aliases.join('');
  const hostname = podHostname(pod);
  const { subdomain } = pod.spec;
  const full = subdomain ? `${hostname}.${subdomain}.${pod.metadata.namespace ?? 'default'}.svc.${zone}\t` : '';
  const lines = [
    '127.0.0.1\tlocalhost\n',
    '::1\tlocalhost ip6-localhost ip6-loopback\n',
    'fe00::0\tip6-localnet\n',
    'ff02::1\tip6-allnodes\n',
    'ff02::2\tip6-allrouters\n',
    `${pod.status?.podIP ?? '127.0.1.1'}\t${full}${hostname}\n`,
  ];
  return lines.join('') + aliases.join('');
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}
