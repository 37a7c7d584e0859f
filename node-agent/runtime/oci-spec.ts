/**
 * The OCI runtime configuration (config.json) of a container. Pure.
 *
 * Safe by default: no new privileges, a short capability list, seccomp, masked and read-only kernel files, a limit on
 * the number of processes. A container joins its pod's namespaces by path and gets its own pid, mount and cgroup ones.
 * Source: https://github.com/opencontainers/runtime-spec, config.md and config-linux.md.
 */
import { cpuPeriodMicros, cpuQuotaMicros, cpuShares } from './cgroup.ts';
import type { ContainerConfig, ContainerResources, Mount, SandboxConfig } from './runtime.ts';
import type { OciSeccomp } from './seccomp.ts';
import type { ResolvedUser } from './users.ts';

export interface SpecInput {
  readonly container: ContainerConfig;
  readonly sandbox: SandboxConfig;
  /** The pause process. */
  readonly sandboxPid: number;
  readonly rootfsPath: string;
  readonly user: ResolvedUser;
  readonly cgroupsPath: string;
  readonly capabilities: readonly string[];
  /** By host path: what a volume's mount must keep (mount-flags.ts). */
  readonly volumeFlags?: Readonly<Record<string, readonly string[]>>;
  /** Absent: unconfined (privileged, or no profile on this host). */
  readonly seccomp?: OciSeccomp;
}

/** Enough for any ordinary server, few enough that a fork bomb stays in its pod. */
export const defaultPidsLimit = 4096;

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface OciProcess {
  readonly terminal: boolean;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
  readonly noNewPrivileges: boolean;
}

export interface OciSpec {
  readonly ociVersion: string;
  readonly process: OciProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly mounts: readonly OciMount[];
  readonly linux: Readonly<Record<string, unknown>>;
}

export function renderSpec(input: SpecInput): OciSpec {
  const { container, sandbox, rootfsPath } = input;
  return {
    ociVersion: '1.0.2',
    process: renderProcess(input),
    root: { path: rootfsPath, readonly: container.readOnlyRootFilesystem },
    mounts: renderMounts(input),
    linux: {
      namespaces: renderNamespaces(sandbox, input.sandboxPid),
      ...renderIdMappings(sandbox),
      cgroupsPath: input.cgroupsPath,
      resources: renderResources(container.resources, container.privileged),
      ...(input.seccomp && { seccomp: input.seccomp }),
      ...(container.privileged ? {} : { maskedPaths, readonlyPaths }),
    },
  };
}

function renderProcess({ container, sandbox, user, capabilities }: SpecInput): OciProcess {
  const environment = {
    PATH: defaultPath,
    HOSTNAME: sandbox.hostname,
    ...(container.terminal && { TERM: 'xterm' }),
    ...container.env,
  };
  return {
    terminal: container.terminal,
    user: {
      uid: user.uid,
      gid: user.gid,
      additionalGids: [...new Set([...user.additionalGids, ...(container.supplementalGroups ?? [])])],
    },
    args: container.argv,
    env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    cwd: container.workingDir === '' ? '/' : container.workingDir,
    // Only root holds them from the start; others gain none, since nothing may raise privileges.
    capabilities: {
      bounding: capabilities,
      effective: user.uid === 0 ? capabilities : [],
      permitted: user.uid === 0 ? capabilities : [],
    },
    noNewPrivileges: !container.privileged,
  };
}

function renderNamespaces(sandbox: SandboxConfig, pid: number): readonly { type: string; path?: string }[] {
  const of = (name: string): string => `/proc/${pid}/ns/${name}`;
  return [
    { type: 'mount' },
    { type: 'cgroup' },
    ...(sandbox.hostPID ? [] : [{ type: 'pid' }]),
    ...(sandbox.hostNetwork
      ? []
      : [
          { type: 'network', path: of('net') },
          { type: 'uts', path: of('uts') },
        ]),
    ...(sandbox.hostIPC ? [] : [{ type: 'ipc', path: of('ipc') }]),
    ...(sandbox.userNamespace ? [{ type: 'user', path: of('user') }] : []),
  ];
}

/** runc 1.1 wants the mappings even where it joins an existing user namespace. */
function renderIdMappings(sandbox: SandboxConfig): object {
  if (!sandbox.userNamespace) return {};
  const { hostIdStart, size } = sandbox.userNamespace;
  const mappings = [{ containerID: 0, hostID: hostIdStart, size }];
  return { uidMappings: mappings, gidMappings: mappings };
}

export function renderResources(resources: ContainerResources, privileged: boolean): object {
  const { cpuRequestMillis = 0, cpuLimitMillis, memoryRequestBytes, memoryLimitBytes, pidsLimit } = resources;
  return {
    devices: [{ allow: privileged, access: 'rwm' }],
    cpu: {
      shares: cpuShares(cpuRequestMillis),
      ...(cpuLimitMillis && { period: cpuPeriodMicros, quota: cpuQuotaMicros(cpuLimitMillis) }),
    },
    memory: {
      // Swap counts towards the limit, so that a container over it is killed rather than slow.
      ...(memoryLimitBytes && { limit: memoryLimitBytes, swap: memoryLimitBytes }),
      ...(memoryRequestBytes && memoryLimitBytes && { reservation: Math.min(memoryRequestBytes, memoryLimitBytes) }),
    },
    pids: { limit: pidsLimit || defaultPidsLimit },
  };
}

/** The kernel's file systems, then the pod's volumes, outer before inner. */
function renderMounts({ container, sandbox, volumeFlags = {} }: SpecInput): readonly OciMount[] {
  const depth = (mount: Mount): number => mount.containerPath.split('/').filter((part) => part !== '').length;
  const volumes = [...container.mounts].sort((a, b) => depth(a) - depth(b));
  const given = new Set(volumes.map((mount) => mount.containerPath.replace(/\/+$/, '')));
  const kernel = kernelMounts(container, sandbox).filter((mount) => !given.has(mount.destination));
  return [...kernel, ...volumes.map((volume) => renderVolume(volume, volumeFlags[volume.hostPath] ?? []))];
}

function kernelMounts({ privileged }: ContainerConfig, sandbox: SandboxConfig): readonly OciMount[] {
  const quiet = ['nosuid', 'noexec', 'nodev'];
  const access = privileged ? 'rw' : 'ro';
  const inUserNamespace = sandbox.userNamespace !== undefined;
  const mount = (destination: string, type: string, source: string, options: readonly string[]): OciMount => ({
    destination,
    type,
    source,
    options,
  });
  // A user namespace may mount /proc and /sys only for a pid and net namespace of its own; else it borrows the host's.
  const proc =
    inUserNamespace && sandbox.hostPID
      ? mount('/proc', 'bind', '/proc', ['rbind', 'rslave', ...quiet])
      : mount('/proc', 'proc', 'proc', quiet);
  const sys =
    inUserNamespace && sandbox.hostNetwork
      ? mount('/sys', 'bind', '/sys', ['rbind', 'rslave', ...quiet, 'ro'])
      : mount('/sys', 'sysfs', 'sysfs', [...quiet, access]);
  return [
    proc,
    mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
    mount('/dev/shm', 'tmpfs', 'shm', [...quiet, 'mode=1777', 'size=65536k']),
    ...(sandbox.hostIPC ? [] : [mount('/dev/mqueue', 'mqueue', 'mqueue', quiet)]),
    sys,
    ...(sys.type === 'bind' ? [] : [mount('/sys/fs/cgroup', 'cgroup', 'cgroup', [...quiet, 'relatime', access])]),
  ];
}

function renderVolume(volume: Mount, flags: readonly string[]): OciMount {
  const access = volume.readOnly ? 'ro' : 'rw';
  if (volume.tmpfsSizeBytes !== undefined) {
    const size = volume.tmpfsSizeBytes > 0 ? [`size=${volume.tmpfsSizeBytes}`] : [];
    const options = ['nosuid', 'nodev', 'mode=1777', ...size, access];
    return { destination: volume.containerPath, type: 'tmpfs', source: 'tmpfs', options };
  }
  return {
    destination: volume.containerPath,
    type: 'bind',
    source: volume.hostPath,
    options: ['rbind', 'rprivate', access, ...flags],
  };
}
