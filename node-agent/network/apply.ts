/** The effects of the node's network: the few commands that read and change what the kernel has. */
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';
import { isPodLinkName, podLinkName } from './addresses.ts';
import { differOverlay, type Overlay, overlayDevice } from './overlay.ts';
import { parseLinkNames, parseOverlay, parseUnderlay } from './overlay-state.ts';
import { isWired, nodeSideScript, type PodLink, podDevice, podSideScript } from './pod-link.ts';

const timeoutMs = 15_000;

/** Stops at the first command that fails, and says which and why. */
async function batch(exec: Exec, argv: readonly string[], commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return;
  const input = `${commands.join('\n')}\n`;
  const { exitCode, stderr } = await exec.run([...argv, '-batch', '-'], { input, timeoutMs });
  if (exitCode === 0) return;
  const failed = commands[Number(/Command failed -:(\d+)/.exec(stderr)?.[1]) - 1];
  const reason = stderr.split('\n').find((line) => line !== '' && !line.startsWith('Command failed')) ?? stderr;
  throw new GantryError(
    'internal',
    `${argv.at(-1)} ${failed ?? argv.join(' ')}: ${reason.replace('RTNETLINK answers: ', '').trim()}`,
  );
}

const insideOf = (netnsPath: string): string[] => ['nsenter', `--net=${netnsPath}`];

/** Routing between pods and the world. Only switched on: other users of the machine may rely on it when we go. */
export async function enableForwarding(exec: Exec): Promise<void> {
  await exec.check(['busybox', 'sysctl', '-w', 'net.ipv4.ip_forward=1'], { timeoutMs });
}

export async function readUnderlayMTU(exec: Exec, nodeIP: string): Promise<number> {
  const { stdout } = await exec.check(['ip', '-j', '-4', 'address', 'show', 'to', nodeIP], { timeoutMs });
  const underlay = parseUnderlay(stdout);
  if (underlay) return underlay.mtu;
  throw new GantryError(
    'failedPrecondition',
    `no network device of this machine has the node address ${nodeIP}; see "ip address", and start the agent with --node-ip of one that it has`,
  );
}

export async function readOverlay(exec: Exec): Promise<Overlay | undefined> {
  const on = ['show', 'dev', overlayDevice];
  const commands = [
    ['ip', '-j', '-d', 'address', ...on],
    ['ip', '-j', '-4', 'route', ...on],
    ['ip', '-j', '-4', 'neighbour', ...on],
    ['bridge', '-j', 'fdb', ...on],
  ];
  const results = await Promise.all(commands.map((argv) => exec.run(argv, { timeoutMs })));
  if (results.some(({ exitCode }) => exitCode !== 0)) return undefined;
  const [device = '', routes = '', neighbours = '', forwarding = ''] = results.map(({ stdout }) => stdout);
  return parseOverlay({ device, routes, neighbours, forwarding });
}

/** Answers whether anything had to change. */
export async function applyOverlay(exec: Exec, wanted: Overlay): Promise<boolean> {
  const script = differOverlay(wanted, await readOverlay(exec));
  await batch(exec, ['ip'], script.ip);
  await batch(exec, ['bridge'], script.bridge);
  return script.ip.length + script.bridge.length > 0;
}

export async function deleteLink(exec: Exec, name: string): Promise<void> {
  const { exitCode, stderr } = await exec.run(['ip', 'link', 'delete', 'dev', name], { timeoutMs });
  // Gone already, perhaps with the pod's namespace.
  if (exitCode !== 0 && !/Cannot find device|No such device/.test(stderr)) {
    throw new GantryError('internal', `cannot delete network device ${name}: ${stderr.trim()}`);
  }
}

export async function listPodLinks(exec: Exec): Promise<string[]> {
  const { stdout } = await exec.check(['ip', '-j', 'link', 'show', 'type', 'veth'], { timeoutMs });
  return parseLinkNames(stdout).filter(isPodLinkName);
}

/** Idempotent. A cable that is there and whole is left alone, so that a pod that runs keeps its connections. */
export async function connectPod(exec: Exec, link: PodLink): Promise<void> {
  try {
    await batch(exec, ['ip'], nodeSideScript(link));
  } catch (error) {
    if (!/File exists/.test(messageOf(error))) throw error;
    if (await isConnected(exec, link)) return;
    await deleteLink(exec, podLinkName(link.podUid));
    await batch(exec, ['ip'], nodeSideScript(link));
  }
  await batch(exec, [...insideOf(link.netnsPath), 'ip'], podSideScript(link));
}

/** Both sides: the pod has its address on an eth0 that is up, and the node's route leads to this cable. */
async function isConnected(exec: Exec, { podUid, netnsPath, ip }: PodLink): Promise<boolean> {
  const [pod, route] = await Promise.all([
    exec.run([...insideOf(netnsPath), 'ip', '-j', 'address', 'show', 'dev', podDevice], { timeoutMs }),
    exec.run(['ip', '-j', '-4', 'route', 'show', `${ip}/32`, 'dev', podLinkName(podUid)], { timeoutMs }),
  ]);
  return pod.exitCode === 0 && isWired(pod.stdout, ip) && route.stdout.includes(`"${ip}"`);
}

/** One atomic transaction; empty text is none. */
export async function applyRules(exec: Exec, text: string): Promise<void> {
  if (text !== '') await exec.check(['nft', '-f', '-'], { input: text, timeoutMs });
}

export async function hasTable(exec: Exec): Promise<boolean> {
  const { stdout } = await exec.check(['nft', 'list', 'tables'], { timeoutMs });
  return stdout.split('\n').includes('table ip gantry');
}

/** Forgets what is known of UDP flows to addresses, so that their next packet is translated anew. */
export async function forgetUdpFlows(exec: Exec, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    // Exit status 1: there was none.
    await exec.run(['conntrack', '-D', '-p', 'udp', '--reply-src', address], { timeoutMs });
  }
}
