/**
 * The pause process: it holds a pod's user, net, ipc and uts namespaces and does nothing else.
 *
 * It is started in a session of its own and so outlives the agent; it sits in the pod's cgroup, by which it is found
 * again if the agent dies before it has noted the pid. The agent reaps it while it lives, the node's init afterwards.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';
import { identifyProcess, type ProcessIdentity } from './processes.ts';
import type { SandboxConfig } from './runtime.ts';

/**
 * A constant script: nothing is ever pasted into it, all it is told comes as arguments.
 * Outside: $1 is how many cgroup.procs files follow; it joins those, then executes the rest.
 */
const joinCgroups = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 1; shift; n=$((n-1)); done; exec "$@"';

/**
 * Inside the new namespaces, one shell and no further process: says it is there, waits until the id maps are written,
 * names the host ($1, if it has a uts namespace), lets everyone bind low ports and ping ($2 = "net"; the namespace is the pod's
 * own), then becomes `sleep`, as a nobody without privileges. The end of its standard output tells that all went well.
 */
const setUp = `
echo ready
read -r go || exit 1
if [ -n "$1" ]; then echo "$1" > /proc/sys/kernel/hostname || exit 1; fi
if [ "$2" = net ]; then
  echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start || exit 1
  echo "0 $3" > /proc/sys/net/ipv4/ping_group_range || exit 1
fi
cd /
exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs \\
  sh -c 'exec sleep infinity < /dev/null > /dev/null 2>&1'
`;

const startPatienceMs = 20_000;

/** The argument vector that becomes the pause process. Pure. */
export function pauseArgv(config: SandboxConfig, cgroupProcsFiles: readonly string[]): readonly string[] {
  const namespaces = [
    ...(config.userNamespace ? ['--user', '--keep-caps'] : []),
    ...(config.hostNetwork ? [] : ['--net', '--uts']),
    ...(config.hostIPC ? [] : ['--ipc']),
  ];
  const network = config.hostNetwork ? ['', ''] : [config.hostname, 'net'];
  const largestGid = String((config.userNamespace?.size ?? 2 ** 31) - 1);
  return [
    ...['sh', '-c', joinCgroups, 'sh', String(cgroupProcsFiles.length), ...cgroupProcsFiles],
    ...['unshare', ...namespaces, 'sh', '-c', setUp, 'pause', ...network, largestGid],
  ];
}

/** Starts it and resolves when its namespaces are whole. `onExit` is called when it ends while this agent lives. */
export async function startPause(
  exec: Exec,
  clock: Clock,
  config: SandboxConfig,
  cgroupProcsFiles: readonly string[],
  onExit: () => void,
): Promise<ProcessIdentity> {
  const child = exec.start(pauseArgv(config, cgroupProcsFiles), {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: pauseEnvironment,
  });
  const stderr = collect(child);
  try {
    await supervised(clock, config, child, stderr, async () => {
      await firstOutput(child);
      if (config.userNamespace) await writeIdMaps(child.pid!, config.userNamespace);
      child.stdin!.end('go\n');
      await once(child.stdout!, 'close');
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const identity = child.exitCode === null && child.signalCode === null ? identifyProcess(child.pid!) : undefined;
  if (!identity) throw startFailure(config, stderr());
  child.on('exit', onExit);
  child.unref();
  return identity;
}

/** It inherits nothing of the agent's environment, which may hold secrets. */
const pauseEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

async function writeIdMaps(
  pid: number,
  mapping: { readonly hostIdStart: number; readonly size: number },
): Promise<void> {
  const line = `0 ${mapping.hostIdStart} ${mapping.size}\n`;
  await writeFile(`/proc/${pid}/uid_map`, line);
  await writeFile(`/proc/${pid}/gid_map`, line);
}

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-2000);
  });
  child.stdin!.on('error', () => {}); // it may die before it reads; its exit tells
  return () => text.trim();
}

/** Resolves when the script has said that it is inside. */
async function firstOutput(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.stdout!.once('data', () => resolve());
    child.stdout!.once('close', () => reject(new Error('ended early')));
  });
}

/** `work`, unless the child ends first or it takes too long. */
async function supervised(
  clock: Clock,
  config: SandboxConfig,
  child: ChildProcess,
  stderr: () => string,
  work: () => Promise<void>,
): Promise<void> {
  const alarm = clock.schedule(startPatienceMs, () => child.kill('SIGKILL'));
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(startFailure(config, error.message)));
    child.once('close', () => reject(startFailure(config, stderr())));
  });
  failed.catch(() => {});
  try {
    await Promise.race([work(), failed]);
  } catch (error) {
    throw error instanceof GantryError ? error : startFailure(config, stderr() || messageOf(error));
  } finally {
    alarm.cancel();
  }
}

function startFailure(config: SandboxConfig, words: string): GantryError {
  const pod = `${config.podNamespace}/${config.podName}`;
  return new GantryError('internal', `the namespaces of pod ${pod} could not be made: ${words || 'no reason given'}`);
}
