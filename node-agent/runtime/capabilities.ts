/** Which Linux capabilities a container's processes hold (capabilities(7)). Pure. */
import { GantryError } from '../../lib/errors.ts';

/** What ordinary server programs need and no more: the set that Docker and containerd give by default. */
const defaultCapabilities = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** Every capability there is, in the kernel's order of numbers. */
const allCapabilities = [
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE',
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN',
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE',
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE',
]
  .join(' ')
  .split(' ')
  .map((name) => `CAP_${name}`);

/**
 * The container's set: the default, less `drop`, plus `add` (`NET_ADMIN`, `CAP_NET_ADMIN` or `ALL`; adding wins, as in
 * Kubernetes). `available` is what the agent itself holds: nobody can give more.
 */
export function planCapabilities(
  add: readonly string[],
  drop: readonly string[],
  privileged: boolean,
  available: readonly string[],
): readonly string[] {
  const expand = (names: readonly string[]): readonly string[] => names.flatMap(expandName);
  const dropped = new Set(expand(drop));
  const start = privileged ? allCapabilities : defaultCapabilities.filter((name) => !dropped.has(name));
  const wanted = new Set<string>([...start, ...expand(add)]);
  return available.filter((name) => wanted.has(name)).sort();
}

function expandName(name: string): readonly string[] {
  const upper = name.toUpperCase();
  if (upper === 'ALL') return allCapabilities;
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!allCapabilities.includes(full)) {
    throw new GantryError('invalidArgument', `unknown capability "${name}"; see capabilities(7) for the names`);
  }
  return [full];
}

/** The names in a mask as /proc/self/status prints it (`CapBnd:`, hex). */
export function readCapabilityMask(hex: string): readonly string[] {
  const mask = BigInt(`0x${hex}`);
  return allCapabilities.filter((_, bit) => (mask >> BigInt(bit)) & 1n);
}
