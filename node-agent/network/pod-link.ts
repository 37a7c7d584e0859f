/**
 * A pod's cable: a routed veth, one segment per pod. In the pod everything goes to the link-local gateway; on the node
 * a /32 route leads to the pod. Hardware addresses are known on both sides, so nobody ever asks (no ARP). Pure.
 */
import { hostEndMAC, podLinkName, podMAC } from './addresses.ts';

export const podDevice = 'eth0';
const gateway = '169.254.1.1';

export interface PodLink {
  readonly podUid: string;
  readonly netnsPath: string;
  readonly ip: string;
  readonly mtu: number;
  /** What the node itself sends to the pod comes from this address. */
  readonly nodeIP: string;
}

/** `ip -batch` input for the node's side; it makes both ends. */
export function nodeSideScript({ podUid, netnsPath, ip, mtu, nodeIP }: PodLink): string[] {
  const link = podLinkName(podUid);
  return [
    `link add ${link} mtu ${mtu} address ${hostEndMAC} type veth ` +
      `peer name ${podDevice} mtu ${mtu} address ${podMAC(ip)} netns ${netnsPath}`,
    // No IPv6 of its own accord: the node would listen on it, and pods are IPv4.
    `link set ${link} alias ${podUid} addrgenmode none up`,
    `neighbour replace ${ip} lladdr ${podMAC(ip)} dev ${link} nud permanent`,
    // `replace`: the address may come from a pod that has just left it.
    `route replace ${ip}/32 dev ${link} scope link src ${nodeIP}`,
  ];
}

/** `ip -batch` input for inside the pod. */
export function podSideScript({ ip }: PodLink): string[] {
  return [
    'link set lo up',
    `address replace ${ip}/32 dev ${podDevice}`,
    `link set ${podDevice} addrgenmode none up`,
    `neighbour replace ${gateway} lladdr ${hostEndMAC} dev ${podDevice} nud permanent`,
    `route replace ${gateway}/32 dev ${podDevice} scope link`,
    `route replace default via ${gateway} dev ${podDevice}`,
  ];
}

/** `ip -j address show dev eth0` in the pod: is it wired as podSideScript would have it? */
export function isWired(addressOutput: string, ip: string): boolean {
  const rows = JSON.parse(addressOutput.trim() || '[]') as {
    ifname?: string;
    flags?: string[];
    addr_info?: { local: string }[];
  }[];
  return rows.some(
    ({ ifname, flags = [], addr_info = [] }) =>
      ifname === podDevice && flags.includes('UP') && addr_info.some(({ local }) => local === ip),
  );
}
