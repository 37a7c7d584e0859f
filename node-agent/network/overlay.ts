/**
 * The overlay: which routes, neighbours and forwarding entries a node's VXLAN device must have so that every other
 * node's pods are reached, as a pure function of the Nodes; and what to change to get there from what the kernel has.
 *
 * Each node owns the first address of its podCIDR on `gantry.vx`. A peer's pods are routed to that address on the peer;
 * the neighbour entry gives its hardware address and the forwarding entry the underlay address that has it. All are
 * static: nothing is learned and nothing is flooded.
 */
import type { Node } from '../../proto/gen/types.ts';
import { gatewayOf, overlayMAC, parseAddress, parseRange } from './addresses.ts';

export const overlayDevice = 'gantry.vx';
/** Outer Ethernet, IP, UDP and VXLAN headers. */
export const encapsulationBytes = 50;

export interface OverlaySettings {
  readonly vni: number;
  readonly port: number;
}
export const defaultOverlaySettings: OverlaySettings = { vni: 42, port: 4789 };

export interface OverlayDevice {
  readonly vni: number;
  readonly port: number;
  readonly localIP: string;
  readonly mac: string;
  readonly mtu: number;
}

/** What the kernel has, and equally what we want it to have. */
export interface Overlay {
  readonly device: OverlayDevice;
  readonly up: boolean;
  /** The node's addresses on the device, each a /32. */
  readonly addresses: ReadonlySet<string>;
  /** podCIDR -> gateway. */
  readonly routes: ReadonlyMap<string, string>;
  /** Gateway -> hardware address. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** Hardware address -> node address on the underlay. */
  readonly forwarding: ReadonlyMap<string, string>;
}

export function internalIPOf(node: Node): string | undefined {
  const address = node.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  return address !== undefined && parseAddress(address) !== undefined ? address : undefined;
}

/** Undefined while the own node has no podCIDR yet. Nodes that cannot be reached yet (no range, no address) are left out. */
export function planOverlay(
  nodes: readonly Node[],
  own: { readonly nodeName: string; readonly nodeIP: string; readonly underlayMTU: number },
  settings: OverlaySettings = defaultOverlaySettings,
): Overlay | undefined {
  const podCIDR = nodes.find((node) => node.metadata.name === own.nodeName)?.spec.podCIDR;
  if (podCIDR === undefined || !parseRange(podCIDR)) return undefined;
  const peers = nodes.filter((node) => node.metadata.name !== own.nodeName).flatMap(peerOf);
  const reachable = peers.filter((peer) => peer.nodeIP !== own.nodeIP && peer.podCIDR !== podCIDR);
  return {
    device: {
      vni: settings.vni,
      port: settings.port,
      localIP: own.nodeIP,
      mac: overlayMAC(own.nodeIP),
      mtu: own.underlayMTU - encapsulationBytes,
    },
    up: true,
    addresses: new Set([gatewayOf(podCIDR)]),
    routes: new Map(reachable.map((peer) => [peer.podCIDR, gatewayOf(peer.podCIDR)])),
    neighbours: new Map(reachable.map((peer) => [gatewayOf(peer.podCIDR), peer.mac])),
    forwarding: new Map(reachable.map((peer) => [peer.mac, peer.nodeIP])),
  };
}

interface Peer {
  readonly podCIDR: string;
  readonly nodeIP: string;
  readonly mac: string;
}

function peerOf(node: Node): Peer[] {
  const { podCIDR } = node.spec;
  const nodeIP = internalIPOf(node);
  if (podCIDR === undefined || !parseRange(podCIDR) || nodeIP === undefined) return [];
  const reported = node.status?.nodeInfo?.overlayMAC;
  const mac = reported !== undefined && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(reported) ? reported : overlayMAC(nodeIP);
  return [{ podCIDR, nodeIP, mac }];
}

/** Input of `ip -batch` and of `bridge -batch`, in this order; both empty when nothing differs. */
export interface OverlayScript {
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
}

/** What is wrong is replaced, what is not wanted goes. A device of another shape is made anew. */
export function differOverlay(wanted: Overlay, actual: Overlay | undefined): OverlayScript {
  const keep = actual !== undefined && sameShape(wanted.device, actual.device);
  const have = keep ? actual : undefined;
  const on = `dev ${overlayDevice}`;
  return {
    ip: [
      ...(actual && !keep ? [`link delete ${overlayDevice}`] : []),
      ...(have ? [] : [addDevice(wanted.device)]),
      ...(have && have.device.mtu !== wanted.device.mtu ? [`link set ${overlayDevice} mtu ${wanted.device.mtu}`] : []),
      ...missing(wanted.addresses, have?.addresses).map((ip) => `address replace ${ip}/32 ${on}`),
      ...(have?.up ? [] : [`link set ${overlayDevice} addrgenmode none up`]),
      ...missing(have?.routes.keys(), wanted.routes).map((cidr) => `route delete ${cidr} ${on}`),
      ...missing(have?.neighbours.keys(), wanted.neighbours).map((ip) => `neighbour delete ${ip} ${on}`),
      ...missing(have?.addresses, wanted.addresses).map((ip) => `address delete ${ip}/32 ${on}`),
      ...changed(wanted.neighbours, have?.neighbours).map(
        ([ip, mac]) => `neighbour replace ${ip} lladdr ${mac} ${on} nud permanent`,
      ),
      ...changed(wanted.routes, have?.routes).map(
        ([cidr, gateway]) => `route replace ${cidr} via ${gateway} ${on} onlink`,
      ),
    ],
    bridge: [
      ...missing(have?.forwarding.keys(), wanted.forwarding).map((mac) => `fdb delete ${mac} ${on} self`),
      ...changed(wanted.forwarding, have?.forwarding).map(
        ([mac, ip]) => `fdb replace ${mac} ${on} dst ${ip} self permanent`,
      ),
    ],
  };
}

function sameShape(a: OverlayDevice, b: OverlayDevice): boolean {
  return a.vni === b.vni && a.port === b.port && a.localIP === b.localIP && a.mac === b.mac;
}

function addDevice({ vni, port, localIP, mac, mtu }: OverlayDevice): string {
  return (
    `link add ${overlayDevice} address ${mac} mtu ${mtu} ` +
    `type vxlan id ${vni} local ${localIP} dstport ${port} nolearning`
  );
}

interface Keyed {
  has(key: string): boolean;
}

function missing(from: Iterable<string> | undefined, inside: Keyed | undefined): string[] {
  return [...(from ?? [])].filter((key) => !inside?.has(key));
}

function changed(
  wanted: ReadonlyMap<string, string>,
  have: ReadonlyMap<string, string> | undefined,
): [string, string][] {
  return [...wanted].filter(([key, value]) => have?.get(key) !== value);
}
