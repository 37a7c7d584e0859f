/** Reads what `ip -j` and `bridge -j` print about the overlay device. Pure. */
import { type Overlay, overlayDevice } from './overlay.ts';

export interface OverlayOutput {
  /** `ip -j -d address show dev gantry.vx` (with -4 a device without addresses would be left out) */
  readonly device: string;
  /** `ip -j -4 route show dev gantry.vx` */
  readonly routes: string;
  /** `ip -j -4 neighbour show dev gantry.vx` */
  readonly neighbours: string;
  /** `bridge -j fdb show dev gantry.vx` */
  readonly forwarding: string;
}

interface DeviceRow {
  ifname?: string;
  flags: string[];
  mtu: number;
  address: string;
  linkinfo?: { info_kind?: string; info_data?: { id?: number; local?: string; port?: number } };
  addr_info?: { family: string; local: string; prefixlen: number }[];
}

/** Undefined when the device does not exist. */
export function parseOverlay(output: OverlayOutput): Overlay | undefined {
  const device = rows<DeviceRow>(output.device).find((row) => row.ifname === overlayDevice);
  if (!device) return undefined;
  const vxlan = device.linkinfo?.info_data ?? {};
  const routes = rows<{ dst: string; gateway?: string; protocol?: string }>(output.routes);
  const neighbours = rows<{ dst: string; lladdr?: string; state?: string[] }>(output.neighbours);
  const forwarding = rows<{ mac: string; dst?: string }>(output.forwarding);
  return {
    device: {
      vni: vxlan.id ?? 0,
      port: vxlan.port ?? 0,
      localIP: vxlan.local ?? '',
      mac: device.address,
      mtu: device.mtu,
    },
    up: device.flags.includes('UP'),
    addresses: new Set((device.addr_info ?? []).filter(({ family }) => family === 'inet').map(({ local }) => local)),
    routes: new Map(routes.filter(({ protocol }) => protocol !== 'kernel').map((row) => [row.dst, row.gateway ?? ''])),
    neighbours: new Map(neighbours.map((row) => [row.dst, row.state?.includes('PERMANENT') ? (row.lladdr ?? '') : ''])),
    forwarding: new Map(forwarding.filter(({ dst }) => dst !== undefined).map((row) => [row.mac, row.dst!])),
  };
}

/** `ip -j -4 address show to IP`: the link that has the node's address. */
export function parseUnderlay(text: string): { readonly device: string; readonly mtu: number } | undefined {
  const row = rows<DeviceRow>(text).find((entry) => entry.ifname !== undefined);
  return row && { device: row.ifname!, mtu: row.mtu };
}

/** `ip -j link show type veth`: names. */
export function parseLinkNames(text: string): string[] {
  return rows<DeviceRow>(text).flatMap((row) => (row.ifname === undefined ? [] : [row.ifname]));
}

function rows<T>(text: string): T[] {
  return text.trim() === '' ? [] : (JSON.parse(text) as T[]);
}
