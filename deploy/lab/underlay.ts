/**
 * The lab's private network: the rack (a machine without a program of its own wish but the registry) holds a bridge;
 * every machine hangs off it with one veth, and so does the host, so that ctl reaches the API.
 *
 *   host  gt-<lab> 10.88.K.254 ── uplink ┐
 *                                        ├─ rack0 10.88.K.1 (registry) ── node-1 ── eth0 10.88.K.11 on node-1
 *
 * Nothing routes between the underlay and the rest of the world, and nothing but `gt-<lab>` appears on the host.
 */
import { createHash } from 'node:crypto';
import { GantryError } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';

const bridge = 'rack0';
const uplink = 'uplink';

/** In the order they are tried. 10.42 and 10.43 are the cluster's own. */
const subnetPools = ['10.88', '10.98', '10.108'];

export const registryAddress = (subnet: string): string => `${subnet}.1`;
export const controlPlaneAddress = (subnet: string, number: number): string => `${subnet}.${1 + number}`;
export const hostAddress = (subnet: string): string => `${subnet}.254`;
export const nodeAddress = (subnet: string, number: number): string => `${subnet}.${10 + number}`;
/** Control planes have .2 and the next ones. */
export const mostControlPlanes = 7;
/** Node addresses run from .11 to .250. */
export const mostNodes = 240;

/** Pure: the host's end of the lab's cable. Interface names have at most 15 characters. */
export function hostLink(lab: string): string {
  if (lab.length <= 12) return `gt-${lab}`;
  return `gt-${lab.slice(0, 5)}-${createHash('sha256').update(lab).digest('hex').slice(0, 6)}`;
}

/** Pure: fixed per address, so that a machine that boots again is the same neighbour as before. */
export function macAddress(ip: string): string {
  const bytes = ip.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '67', ...bytes].join(':');
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Pure: the addresses of "10.88.0.0/24" (a bare address is a /32). */
export function rangeOf(cidr: string): Range {
  const [address = '', bits = '32'] = cidr.split('/');
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(number / size) * size;
  return { first, last: first + size - 1 };
}

/** Pure: the first /24 of the pools that overlaps none of `used`; "10.88.3", or undefined. */
export function firstFreeSubnet(used: readonly string[]): string | undefined {
  const taken = used.map(rangeOf);
  const candidates = subnetPools.flatMap((pool) => Array.from({ length: 256 }, (_, third) => `${pool}.${third}`));
  return candidates.find((subnet) => {
    const { first, last } = rangeOf(`${subnet}.0/24`);
    return !taken.some((range) => range.first <= last && first <= range.last);
  });
}

/** A subnet no lab and no route of the host uses. Call with the lab lock held. */
export async function chooseSubnet(exec: Exec, usedByLabs: readonly string[]): Promise<string> {
  const { stdout } = await exec.check(['ip', '-j', '-4', 'route', 'show', 'table', 'all']);
  const routes = JSON.parse(stdout || '[]') as { dst: string }[];
  const used = routes.map((route) => route.dst).filter((destination) => /^\d+\./.test(destination));
  const subnet = firstFreeSubnet([...used, ...usedByLabs.map((lab) => `${lab}.0/24`)]);
  if (subnet) return subnet;
  throw new GantryError(
    'resourceExhausted',
    `every network of ${subnetPools.map((pool) => `${pool}.0.0/16`).join(', ')} is in use on this host; ` +
      'see "ip route", and take labs down that are not needed ("ctl lab down --name NAME")',
  );
}

/** Runs `ip` commands in the network namespace of `pid`, or on the host. */
async function ip(exec: Exec, pid: number | 'host', commands: readonly string[]): Promise<void> {
  const enter = pid === 'host' ? [] : ['nsenter', `--net=/proc/${pid}/ns/net`];
  await exec.check([...enter, 'ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** The switch, and the cable to the host. `rack` is the host pid of the rack's init. */
export async function buildRack(exec: Exec, lab: string, subnet: string, rack: number): Promise<void> {
  await ip(exec, rack, [
    `link add name ${bridge} address ${macAddress(registryAddress(subnet))} type bridge`,
    `addr add ${registryAddress(subnet)}/24 dev ${bridge}`,
    `link set ${bridge} up`,
  ]);
  const link = hostLink(lab);
  await deleteHostLink(exec, lab); // a former lab of this name that crashed
  await ip(exec, 'host', [
    `link add name ${link} address ${macAddress(hostAddress(subnet))} type veth peer name ${uplink} netns ${rack}`,
    `addr add ${hostAddress(subnet)}/24 dev ${link}`,
    `link set ${link} up`,
  ]);
  await ip(exec, rack, [`link set ${uplink} master ${bridge} up`]);
}

export async function deleteHostLink(exec: Exec, lab: string): Promise<void> {
  const { exitCode } = await exec.run(['ip', 'link', 'show', 'dev', hostLink(lab)]);
  if (exitCode === 0) await exec.run(['ip', 'link', 'delete', 'dev', hostLink(lab)]);
}

/** Cables a machine (host pid of its init) to the rack. The switch port has the machine's name. */
export async function plug(
  exec: Exec,
  rack: number,
  machine: { readonly pid: number; readonly name: string; readonly address: string },
  gateway: string,
): Promise<void> {
  await unplug(exec, rack, machine.name); // of a machine that died by itself
  await ip(exec, 'host', [
    `link add name eth0 address ${macAddress(machine.address)} netns ${machine.pid} ` +
      `type veth peer name ${machine.name} netns ${rack}`,
  ]);
  await ip(exec, rack, [`link set ${machine.name} master ${bridge} up`]);
  await ip(exec, machine.pid, [
    'link set lo up',
    `addr add ${machine.address}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${gateway}`,
  ]);
}

/** Pulls the cable out for good: both its ends are gone. */
export async function unplug(exec: Exec, rack: number, machine: string): Promise<void> {
  if (!(await ports(exec, rack)).has(machine)) return;
  try {
    await ip(exec, rack, [`link delete ${machine}`]);
  } catch (error) {
    // The kernel takes the cable of a machine that has just died away by itself, at a moment of its own.
    if ((await ports(exec, rack)).has(machine)) throw error;
  }
}

/** The cable stays, but carries nothing (`up: false`) or carries again. */
export async function setPort(exec: Exec, rack: number, machine: string, up: boolean): Promise<void> {
  await ip(exec, rack, [`link set ${machine} ${up ? 'up' : 'down'}`]);
}

/** The switch's ports: machine name -> whether the cable carries. */
export async function ports(exec: Exec, rack: number): Promise<ReadonlyMap<string, boolean>> {
  const { stdout } = await exec.check([
    'nsenter',
    `--net=/proc/${rack}/ns/net`,
    'ip',
    '-j',
    'link',
    'show',
    'type',
    'veth',
  ]);
  const links = JSON.parse(stdout || '[]') as { ifname: string; flags: string[] }[];
  return new Map(
    links.filter((link) => link.ifname !== uplink).map((link) => [link.ifname, link.flags.includes('UP')]),
  );
}
