/**
 * Everything on the host that a lab could leave behind, as sorted lines to compare before and after. A line of a lab
 * that can be told by name begins with its name, so that labs of other people at work do not disturb the comparison.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Exec } from '../../lib/process.ts';
import { cgroupRoot, hierarchies, listCgroups } from './cgroups.ts';
import { markerVariable } from './machine.ts';
import { environmentOf, listProcesses, namespaceOf, readText } from './processes.ts';
import { dataFolder, labNames, stateRoot } from './state.ts';
import { hostLink } from './underlay.ts';

export async function inventory(exec: Exec): Promise<string[]> {
  const [links, routes, tables] = await Promise.all([
    lines(exec, ['ip', '-o', 'link', 'show']),
    lines(exec, ['ip', '-4', 'route', 'show', 'table', 'all']),
    lines(exec, ['nft', 'list', 'tables']),
  ]);
  const owners = new Map(labNames().map((lab) => [hostLink(lab), lab]));
  const ownerOfDevice = (text: string): string => owners.get(/\bgt-[a-z0-9-]+/.exec(text)?.[0] ?? '') ?? '';
  return [
    ...processLines(),
    ...mountLines(),
    ...links.map((line) => entry('link', line.split(': ')[1] ?? line, ownerOfDevice(line))),
    ...routes.map((line) => entry('route', line.trim(), ownerOfDevice(line))),
    ...tables.map((line) => entry('nft', line)),
    ...cgroupLines(),
    ...fileLines(),
    entry('sysctl', `net.ipv4.ip_forward=${readText('/proc/sys/net/ipv4/ip_forward')?.trim()}`),
  ].sort();
}

/** Pure: what is in `after` and not in `before`, and the reverse, without the lines of labs other than `lab`. */
export function inventoryDifference(before: readonly string[], after: readonly string[], lab: string): string[] {
  const mine = (line: string): boolean => line.startsWith('[] ') || line.startsWith(`[${lab}] `);
  return [
    ...after.filter((line) => mine(line) && !before.includes(line)).map((line) => `left behind: ${line}`),
    ...before.filter((line) => mine(line) && !after.includes(line)).map((line) => `missing: ${line}`),
  ];
}

const entry = (kind: string, what: string, lab = ''): string => `[${lab}] ${kind} ${what}`;

async function lines(exec: Exec, argv: readonly string[]): Promise<string[]> {
  return (await exec.check(argv)).stdout.split('\n').filter(Boolean);
}

/** Processes in namespaces other than ours, or with a lab's marker; and the network namespaces they hold. */
function processLines(): string[] {
  const kinds = ['net', 'mnt', 'pid'] as const;
  const all = listProcesses().filter((process) => process.state !== 'Z'); // ended; its parent is not ours
  const labs = new Map(all.map(({ pid }) => [pid, labOf(pid)]));
  // conmon carries no marker and no cgroup of its own; it is on a machine whose init has one.
  const labOfMachine = new Map(all.map(({ pid }) => [namespaceOf(pid, 'pid'), '']));
  for (const { pid } of all) if (labs.get(pid)) labOfMachine.set(namespaceOf(pid, 'pid'), labs.get(pid)!);
  return all.flatMap((process) => {
    const foreign = kinds.filter((kind) => {
      const namespace = namespaceOf(process.pid, kind);
      return namespace !== undefined && namespace !== namespaceOf('self', kind);
    });
    const machine = foreign.includes('pid') ? labOfMachine.get(namespaceOf(process.pid, 'pid')) : '';
    const lab = labs.get(process.pid) || machine || '';
    if (lab === '' && foreign.length === 0) return [];
    const spaces = foreign.map((kind) => namespaceOf(process.pid, kind) ?? kind).join(' ');
    return [entry('process', `${process.pid} ${process.command} ${spaces}`.trim(), lab)];
  });
}

/** The lab a process belongs to, by its environment or its cgroup. */
function labOf(pid: number): string {
  const marker = environmentOf(pid).find((variable) => variable.startsWith(`${markerVariable}=`));
  if (marker) return marker.slice(markerVariable.length + 1).split('/')[0] ?? '';
  const cgroup = new RegExp(`:/${cgroupRoot}/([^/\n]+)`).exec(readText(`/proc/${pid}/cgroup`) ?? '');
  return cgroup?.[1] ?? '';
}

function mountLines(): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(Boolean);
  return mounts.map((line) => {
    const fields = line.split(' ');
    return entry('mount', `${fields[4]} ${fields[fields.indexOf('-') + 1]}`);
  });
}

/** The top of every hierarchy, and all that is Gantry's. */
function cgroupLines(): string[] {
  const tops = hierarchies().flatMap((hierarchy) =>
    readdirSync(hierarchy, { withFileTypes: true })
      .filter((file) => file.isDirectory() && file.name !== cgroupRoot)
      .map((file) => entry('cgroup', `${hierarchy}/${file.name}`)),
  );
  const ours = listCgroups(cgroupRoot).flatMap((path) => {
    const lab = new RegExp(`/${cgroupRoot}/([^/]+)`).exec(path)?.[1];
    return lab === undefined ? [] : [entry('cgroup', path, lab)];
  });
  return [...tops, ...ours];
}

/** Places where Gantry's tools are known to write, and names of theirs in the shared ones. */
function fileLines(): string[] {
  const suspicious = /gantry|gt-|conmon|runc|buildah|skopeo|containers|storage|docker-tar|oci-put|node-compile-cache/;
  const labs = new Set(labNames());
  const top = (folder: string, wanted: (name: string) => boolean = () => true): string[] =>
    names(folder)
      .filter(wanted)
      .map((name) => entry('file', `${folder}/${name}`));
  return [
    ...names('/').map((name) => entry('file', `/${name}`)),
    ...names(stateRoot).map((name) => entry('file', `${stateRoot}/${name}`, labs.has(name) ? name : 'labs')),
    ...(labs.size === 0
      ? top('/var/lib')
      : top('/var/lib', (name) => `/var/lib/${name}` !== dataFolder && name !== 'gantry-lab')),
    ...[
      '/run',
      '/run/netns',
      '/run/lock',
      '/run/containers',
      '/var/lib/containers',
      '/var/lib/cni',
      '/etc/containers',
    ].flatMap((folder) => top(folder)),
    ...['/tmp', '/var/tmp', '/dev/shm'].flatMap((folder) => top(folder, (name) => suspicious.test(name))),
    ...top('/usr/local/bin', (name) => name === 'ctl'),
  ];
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
