/**
 * The text of table `ip gantry`, whole or as a difference. Both are one atomic transaction of `nft -f -`. Nothing
 * outside this table is ever touched, so deleting it is the exact uninstall.
 */
import type { ServiceRules } from './services.ts';

const table = 'ip gantry';

export interface TableSettings {
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly dnsIP: string;
  readonly overlayDevice: string;
}

type MapName = Exclude<keyof ServiceRules, 'chains'>;

/** nft's name and type of each map. */
const maps: Readonly<
  Record<MapName, { readonly keyword: 'map' | 'set'; readonly name: string; readonly type: string }>
> = {
  serviceAddresses: {
    keyword: 'map',
    name: 'service_addresses',
    type: 'ipv4_addr . inet_proto . inet_service : verdict',
  },
  nodePorts: { keyword: 'map', name: 'node_ports', type: 'inet_proto . inet_service : verdict' },
  hostPorts: { keyword: 'map', name: 'host_ports', type: 'inet_proto . inet_service : ipv4_addr . inet_service' },
  hostAddressPorts: {
    keyword: 'map',
    name: 'host_address_ports',
    type: 'ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service',
  },
  hairpins: { keyword: 'set', name: 'hairpins', type: 'ipv4_addr . ipv4_addr' },
};
const mapNames = Object.keys(maps) as MapName[];

/** Replaces the whole table, whatever it held. */
export function renderTable(rules: ServiceRules, settings: TableSettings): string {
  return lines([
    ...removeTable,
    `table ${table} {`,
    ...mapNames.flatMap((map) => renderMap(map, rules[map])),
    ...[...rules.chains].flatMap(([name, rule]) => block(`chain ${name}`, [rule])),
    ...fixedChains(settings),
    '}',
  ]);
}

/** `add` makes `delete` succeed when there is no table. */
const removeTable = [`add table ${table}`, `delete table ${table}`];

export function renderRemoval(): string {
  return lines(removeTable);
}

/** From one set of rules to the next; empty when they are equal. */
export function renderDifference(from: ServiceRules, to: ServiceRules): string {
  const chains = [...to.chains].filter(([name, rule]) => from.chains.get(name) !== rule);
  const goneChains = [...from.chains.keys()].filter((name) => !to.chains.has(name));
  return lines([
    ...chains.flatMap(([name, rule]) => [
      ...(from.chains.has(name) ? [`flush chain ${table} ${name}`] : [`add chain ${table} ${name}`]),
      `add rule ${table} ${name} ${rule}`,
    ]),
    ...mapNames.flatMap((map) => elementChanges(map, from[map], to[map])),
    ...goneChains.flatMap((name) => [`flush chain ${table} ${name}`, `delete chain ${table} ${name}`]),
  ]);
}

function elementChanges(map: MapName, from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): string[] {
  const differs = (other: ReadonlyMap<string, string>) => (entry: [string, string]) => other.get(entry[0]) !== entry[1];
  const gone = [...from].filter(differs(to));
  const added = [...to].filter(differs(from));
  const name = `${table} ${maps[map].name}`;
  return [
    ...(gone.length > 0 ? [`delete element ${name} { ${gone.map(element).join(', ')} }`] : []),
    ...(added.length > 0 ? [`add element ${name} { ${added.map(element).join(', ')} }`] : []),
  ];
}

function element([key, value]: readonly [string, string]): string {
  return value === '' ? key : `${key} : ${value}`;
}

function renderMap(map: MapName, elements: ReadonlyMap<string, string>): string[] {
  const { keyword, name, type } = maps[map];
  return block(`${keyword} ${name}`, [
    `type ${type}`,
    ...(elements.size > 0 ? [`elements = { ${[...elements].map(element).join(', ')} }`] : []),
  ]);
}

function fixedChains({ clusterCIDR, serviceCIDR, dnsIP, overlayDevice }: TableSettings): string[] {
  const { serviceAddresses, nodePorts, hostPorts, hostAddressPorts, hairpins } = maps;
  const unanswered = `ip daddr ${serviceCIDR} ip daddr != ${dnsIP} goto refuse`;
  return [
    ...block('chain translate', [
      // The machine's own loopback, and the agent's DNS: no port of a pod may take their place.
      `ip daddr { 127.0.0.0/8, ${dnsIP} } return`,
      `ip daddr . meta l4proto . th dport vmap @${serviceAddresses.name}`,
      `fib daddr type local meta l4proto . th dport vmap @${nodePorts.name}`,
      `fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @${hostAddressPorts.name}`,
      `fib daddr type local dnat ip to meta l4proto . th dport map @${hostPorts.name}`,
    ]),
    ...block('chain translate_incoming', ['type nat hook prerouting priority -100; policy accept;', 'jump translate']),
    ...block('chain translate_own', ['type nat hook output priority -100; policy accept;', 'jump translate']),
    ...block('chain masquerade_outgoing', [
      'type nat hook postrouting priority 100; policy accept;',
      // A pod that reached itself through a service would answer itself directly.
      `ip saddr . ip daddr @${hairpins.name} masquerade fully-random`,
      // From outside the cluster to a pod on another node: the answer must come back this way.
      `oifname "${overlayDevice}" ip saddr != ${clusterCIDR} masquerade fully-random`,
      `oifname != "${overlayDevice}" ip saddr ${clusterCIDR} ip daddr != ${clusterCIDR} masquerade fully-random`,
    ]),
    ...block('chain refuse', ['meta l4proto tcp reject with tcp reset', 'reject with icmp port-unreachable']),
    ...block('chain filter_incoming', [
      'type filter hook prerouting priority -90; policy accept;',
      // A pod may send with its own address alone.
      'iifname "gt*" fib saddr . iif oif missing drop',
      unanswered,
    ]),
    ...block('chain filter_own', ['type filter hook output priority 0; policy accept;', unanswered]),
  ];
}

function block(head: string, body: readonly string[]): string[] {
  return [`  ${head} {`, ...body.map((line) => `    ${line}`), '  }'];
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}
