/** What the parts of the runc runtime share: where things are on this host, and the records. */
import { access, constants, readFile } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Exec } from '../../lib/process.ts';
import { type StorageRoots, storageRoots } from '../images/storage-layout.ts';
import { readCapabilityMask } from './capabilities.ts';
import { type CgroupLayout, detectCgroups } from './cgroup.ts';
import { type KeyedQueue, keyedQueue } from './keyed-queue.ts';
import { type ContainerRecord, type RecordStore, recordStore, type SandboxRecord } from './records.ts';
import type { SeccompProfile } from './seccomp.ts';

/**
 * For runc and containers-storage: programs in Go that live some ten milliseconds wake more threads than they have work
 * for. One costs a tenth less.
 */
export const singleThreadedGo = { GOMAXPROCS: '1' } as const;

export interface RuncRuntimeOptions {
  /** Survives a reboot: images, layers, records (`/var/lib/gantry`). */
  readonly dataDir: string;
  /** Need not survive a reboot: runc's state, mount counts (`/run/gantry`). */
  readonly runDir: string;
  /** Every pod's cgroup is `<cgroupParent>/pod<uid>`. Absolute: `/gantry/default/node-1`. */
  readonly cgroupParent: string;
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Log;
  /** Debian's is used when absent. */
  readonly seccompProfilePath?: string;
  /** Containers created or removed at the same time; each costs a few processes. Default 4. */
  readonly concurrency?: number;
}

export interface RuntimeHost {
  readonly options: RuncRuntimeOptions;
  readonly exec: Exec;
  readonly clock: Clock;
  readonly log: Log;
  readonly layout: CgroupLayout;
  readonly roots: StorageRoots;
  readonly conmon: string;
  readonly runc: string;
  readonly runcRoot: string;
  readonly exitDir: string;
  readonly seccompProfile: SeccompProfile | undefined;
  /** What the agent itself may hold, and so hand on. */
  readonly capabilities: readonly string[];
  readonly sandboxStore: RecordStore<SandboxRecord>;
  readonly containerStore: RecordStore<ContainerRecord>;
  /** The records in memory, as on disk: this agent is the only writer. */
  readonly sandboxes: Map<string, SandboxRecord>;
  readonly containers: Map<string, ContainerRecord>;
  /** One operation at a time per pod UID. */
  readonly queue: KeyedQueue;
  /** Tells the listeners that something about the pod may have changed. */
  readonly notify: (podUid: string) => void;
}

const programFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const defaultSeccompProfile = '/usr/share/containers/seccomp.json';

export async function openHost(options: RuncRuntimeOptions, notify: (podUid: string) => void): Promise<RuntimeHost> {
  const layout = detectCgroups(await readFile('/proc/self/mountinfo', 'utf8'));
  if (!layout) {
    throw new GantryError(
      'failedPrecondition',
      'no cgroup hierarchy with a memory controller is mounted below /sys/fs/cgroup; boot with one',
    );
  }
  const sandboxStore = recordStore<SandboxRecord>(`${options.dataDir}/pods`);
  const containerStore = recordStore<ContainerRecord>(`${options.dataDir}/containers`);
  return {
    options,
    exec: options.exec,
    clock: options.clock,
    log: options.log,
    layout,
    roots: storageRoots(options.dataDir, options.runDir),
    conmon: await findProgram('conmon'),
    runc: await findProgram('runc'),
    runcRoot: `${options.runDir}/runc`,
    exitDir: `${options.dataDir}/exits`,
    seccompProfile: await readSeccompProfile(options),
    capabilities: await readOwnCapabilities(),
    sandboxStore,
    containerStore,
    sandboxes: new Map(await sandboxStore.load()),
    containers: new Map(await containerStore.load()),
    queue: keyedQueue(),
    notify,
  };
}

export function podCgroup(host: RuntimeHost, podUid: string): string {
  return `${host.options.cgroupParent}/pod${podUid}`;
}

export function containerCgroup(host: RuntimeHost, podUid: string, containerId: string): string {
  return `${podCgroup(host, podUid)}/${containerId}`;
}

async function findProgram(name: string): Promise<string> {
  for (const folder of programFolders) {
    const path = `${folder}/${name}`;
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new GantryError('failedPrecondition', `${name} is not installed; on Debian: apt-get install ${name}`);
}

async function readSeccompProfile(options: RuncRuntimeOptions): Promise<SeccompProfile | undefined> {
  const path = options.seccompProfilePath ?? defaultSeccompProfile;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GantryError(
      'failedPrecondition',
      `no seccomp profile at ${path}; on Debian: apt-get install golang-github-containers-common`,
      { cause },
    );
  });
  return JSON.parse(text) as SeccompProfile;
}

async function readOwnCapabilities(): Promise<readonly string[]> {
  const status = await readFile('/proc/self/status', 'utf8');
  return readCapabilityMask(/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
}
