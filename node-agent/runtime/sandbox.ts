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
 * Inside the new namespaces: a constant script, nothing is ever pasted into it. It says that it is there and waits for "go", so
 * that it ends by itself should the agent die before; names the host ($1, if it has a uts namespace), lets everyone bind low
 * ports and ping ($2 = "net": that namespace is the pod's own), then becomes `sleep`, a nobody without privileges. The end of its standard
 * output tells that it came so far.
 */
const setUp = `
echo ready
read -r go || exit 1
if [ -n "$1" ]; then echo "$1" > /proc/sys/kernel/hostname || exit 1; fi
if [ "$2" = net ]; then
  echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start || exit 1
  echo "0 $3" > /proc/sys/net/ipv4/ping_group_range || exit 1
fi
cd / && exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all \\
  --no-new-privs sleep infinity < /dev/null > /dev/null
`;

const startPatienceMs = 20_000;

/** The argument vector that becomes the pause process. Pure. */
export function pauseArgv(config: SandboxConfig): readonly string[] {
  const namespaces = [
    ...(config.userNamespace ? ['--user', '--keep-caps'] : []),
    ...(config.hostNetwork ? [] : ['--net', '--uts']),
    ...(config.hostIPC ? [] : ['--ipc']),
  ];
  const network = config.hostNetwork ? ['', ''] : [config.hostname, 'net'];
  const largestGid = String((config.userNamespace?.size ?? 2 ** 31) - 1);
  return ['unshare', ...namespaces, 'sh', '-c', setUp, 'pause', ...network, largestGid];
}

/**
 * Starts it, puts it into the cgroups whose cgroup.procs are given, and resolves when its namespaces are whole. `onExit` is
 * called when it ends while this agent lives.
 */
export async function startPause(
  exec: Exec,
  clock: Clock,
  config: SandboxConfig,
  cgroupProcsFiles: readonly string[],
  onExit: () => void,
): Promise<ProcessIdentity> {
  const child = exec.start(pauseArgv(config), {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: pauseEnvironment,
  });
  const stderr = collect(child);
  try {
    await supervised(clock, config, child, stderr, async () => {
      await firstOutput(child);
      for (const file of cgroupProcsFiles) await writeFile(file, String(child.pid));
      if (config.userNamespace) await writeIdMaps(child.pid!, config.userNamespace);
      child.stdin!.end('go\n');
      await once(child.stdout!, 'close');
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    child.stderr!.destroy();
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
