/**
 * A Gantry cluster on a lab: the rack with the registry, one control plane or several, agents that join with a token.
 * `up` can be called again at any time: it starts what does not run and adds what is missing.
 */
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GantryError } from '../../lib/errors.ts';
import { compileCacheFolder, warmCompileCache } from './compile-cache.ts';
import { killMachine, openLab, programLog, recordNodes, startMachine } from './lab.ts';
import type { Host } from './machine.ts';
import {
  type ControlPlaneOptions,
  controlPlaneMachine,
  controlPlaneName,
  identityFolder,
  joinTokenFile,
  nodeMachine,
  nodeName,
  rackMachine,
  registryConfig,
  registryConfigFile,
  registryStorage,
} from './programs.ts';
import { adminConfig, cloneFolder, type LabState, type MachineSpec, machineData, requireState } from './state.ts';
import { mostControlPlanes, mostNodes } from './underlay.ts';

export interface ClusterOptions extends ControlPlaneOptions {
  readonly name: string;
  /** Default: as many as the lab has, or should have had; 3 for a new one. */
  readonly nodes?: number;
}

/** Called as each step begins; its result is called when the step has ended well. */
export type Progress = (step: string) => () => void;

const readyTimeoutMs = 60_000;
const newLabNodes = 3;
const silent: Progress = () => () => {};

/** Returns when every node is Ready. */
export async function up(host: Host, options: ClusterOptions, progress: Progress = silent): Promise<void> {
  const { name } = options;
  checkCounts(options);
  const state = await openLab(host, name);
  const nodes = options.nodes ?? nodesOf(state);
  const { subnet } = state;
  // A lab that has several keeps them.
  const controlPlanes = options.controlPlanes ?? Math.max(1, controlPlanesOf(state));
  const cluster = { ...options, controlPlanes };
  checkClone(state, controlPlaneMachine(subnet, cluster));
  await recordNodes(host, name, Math.max(nodes, ...nodeNumbers(state)));

  let done = progress('underlay and registry');
  await startMachine(host, name, rackMachine(subnet), (data) => {
    const rack = rackMachine(subnet);
    writeFileSync(join(data, registryConfigFile), registryConfig(rack.address, registryStorage));
  });
  await warmCompileCache(host.exec);
  done();

  done = progress(controlPlanes === 1 ? 'control plane' : 'first control plane');
  await startMachine(host, name, controlPlaneMachine(subnet, cluster));
  const token = await waitForControlPlane(host, name);
  done();

  if (controlPlanes > 1) {
    done = progress(controlPlanes === 2 ? 'cp-2 joins' : `cp-2 to cp-${controlPlanes} join`);
    await joinControlPlanes(host, name, cluster);
    done();
  }

  done = progress(nodes === 1 ? 'node-1 joins' : `node-1 to node-${nodes} join`);
  const numbers = Array.from({ length: nodes }, (_, index) => index + 1);
  await forgetDeleted(host, name, numbers.map(nodeName));
  for (const number of numbers) await startNode(host, name, number, token);
  await waitForNodes(host, name, numbers.map(nodeName));
  done();
}

/** A node whose object was deleted is nobody to the cluster any more: its machine is to join again. */
async function forgetDeleted(host: Host, lab: string, names: readonly string[]): Promise<void> {
  const known = requireState(lab).machines.filter(({ name }) => names.includes(name));
  if (known.length === 0) return;
  const { exitCode, stdout, stderr } = await ctl(host, lab, ['get', 'nodes', '-o', 'json']);
  if (exitCode !== 0) throw new GantryError('unavailable', stderr.trim());
  const there = nodeNames(stdout);
  for (const { name } of known) {
    if (there.has(name)) continue;
    await killMachine(host, lab, name);
    rmSync(join(machineData(lab, name), identityFolder), { recursive: true, force: true });
  }
}

function checkCounts({ nodes = newLabNodes, controlPlanes = 1 }: ClusterOptions): void {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > mostNodes) {
    throw new GantryError('invalidArgument', `${nodes} nodes: a lab has 1 to ${mostNodes}`);
  }
  if (!Number.isInteger(controlPlanes) || controlPlanes < 1 || controlPlanes > mostControlPlanes) {
    const counts = `a lab has 1 to ${mostControlPlanes}; an odd number, such as 3, outlives the loss of all but half`;
    throw new GantryError('invalidArgument', `${controlPlanes} control planes: ${counts}`);
  }
}

/** Pure: how many nodes a lab has, or was to have when making it was interrupted. */
export function nodesOf(state: LabState): number {
  return Math.max(state.nodes ?? 0, ...nodeNumbers(state)) || newLabNodes;
}

const nodeNumbers = ({ machines }: LabState): number[] =>
  machines.flatMap(({ name, role }) => (role === 'node' ? [nodeNumber(name)] : []));

const controlPlanesOf = (state: LabState): number =>
  state.machines.filter(({ role }) => role === 'control-plane').length;

/** All but the first, at once; returns when every one of them serves, and ctl's configuration names them all. */
async function joinControlPlanes(host: Host, lab: string, options: ClusterOptions): Promise<void> {
  const { controlPlanes = 1 } = options;
  const { subnet } = requireState(lab);
  const token = await ctl(host, lab, ['token', 'create', '--role', 'control-plane']);
  if (token.exitCode !== 0) throw new GantryError('unavailable', token.stderr.trim());
  for (let number = 2; number <= controlPlanes; number += 1) {
    await startMachine(host, lab, controlPlaneMachine(subnet, options, number), (data) => {
      writeFileSync(join(data, joinTokenFile), token.stdout, { mode: 0o600 });
    });
  }
  const last = controlPlaneMachine(subnet, options, controlPlanes);
  await until(
    host,
    lab,
    () => last,
    'the control planes did not all become ready',
    async () => {
      copyAdminConfig(lab);
      const { servers } = JSON.parse(readFileSync(adminConfig(lab), 'utf8')) as { servers: string[] };
      if (servers.length >= controlPlanes) return true;
      throw new GantryError('unavailable', `only ${servers.join(', ')} ${servers.length === 1 ? 'is' : 'are'} there`);
    },
  );
}

/** A lab runs the programs of the clone that made it: those of another one may not understand its data. */
function checkClone(state: LabState, wanted: MachineSpec): void {
  const [, known] = state.machines.find((machine) => machine.name === wanted.name)?.command ?? [];
  if (known === undefined || known === wanted.command[1]) return;
  throw new GantryError(
    'failedPrecondition',
    `lab "${state.name}" was made by another clone and runs ${known}; remove it ("npm stop -- --name ${state.name}") ` +
      'or choose another name (--name)',
  );
}

/** Adds the next node, returns its name when it is Ready. */
export async function addNode(host: Host, lab: string): Promise<string> {
  const state = requireState(lab);
  const number = Math.max(0, ...nodeNumbers(state)) + 1;
  if (number > mostNodes) throw new GantryError('resourceExhausted', `a lab has at most ${mostNodes} nodes`);
  await recordNodes(host, lab, Math.max(number, nodesOf(state)));
  const token = await waitForControlPlane(host, lab);
  await startNode(host, lab, number, token);
  await waitForNodes(host, lab, [nodeName(number)]);
  return nodeName(number);
}

const nodeNumber = (name: string): number => Number(/-(\d+)$/.exec(name)?.[1] ?? 0);

function startNode(host: Host, lab: string, number: number, token: string): Promise<void> {
  const state = requireState(lab);
  return startMachine(host, lab, nodeMachine(lab, state.subnet, number, controlPlanesOf(state)), (data) => {
    writeFileSync(join(data, joinTokenFile), `${token}\n`, { mode: 0o600 });
  });
}

/** Waits until the control plane answers ctl, and returns a join token for nodes: proof that it also writes. */
async function waitForControlPlane(host: Host, lab: string): Promise<string> {
  const { subnet } = requireState(lab);
  const machine = controlPlaneMachine(subnet);
  return until(
    host,
    lab,
    () => machine,
    'the control plane did not become ready',
    async () => {
      if (!copyAdminConfig(lab)) return undefined;
      const { exitCode, stdout, stderr } = await ctl(host, lab, ['token', 'create', '--role', 'node']);
      if (exitCode !== 0) throw new GantryError('unavailable', stderr.trim());
      return stdout.trim();
    },
  );
}

/** Nothing was ever pushed to the registry, which all labs of this clone share. */
export function isRegistryEmpty(storage: string = registryStorage): boolean {
  return !existsSync(join(storage, 'docker/registry/v2/repositories'));
}

/** The first control plane's; false while it has not written any. */
function copyAdminConfig(lab: string): boolean {
  const written = join(machineData(lab, controlPlaneName(1)), 'admin.conf');
  if (!existsSync(written)) return false;
  copyFileSync(written, adminConfig(lab));
  chmodSync(adminConfig(lab), 0o600);
  return true;
}

async function waitForNodes(host: Host, lab: string, names: readonly string[]): Promise<void> {
  const { machines } = requireState(lab);
  let missing = names;
  const tardy = (): MachineSpec | undefined => machines.find(({ name }) => name === missing[0]);
  await until(host, lab, tardy, 'nodes did not become Ready', async () => {
    const { exitCode, stdout, stderr } = await ctl(host, lab, ['get', 'nodes', '-o', 'json']);
    if (exitCode !== 0) throw new GantryError('unavailable', stderr.trim());
    const ready = readyNodes(stdout);
    missing = names.filter((name) => !ready.has(name));
    if (missing.length === 0) return true;
    throw new GantryError('unavailable', `not Ready: ${missing.join(', ')}`);
  });
}

interface NodeObject {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const nodesIn = (json: string): readonly NodeObject[] => (JSON.parse(json) as { items?: NodeObject[] }).items ?? [];

/** Pure: names of all nodes in `ctl get nodes -o json`. */
export function nodeNames(json: string): Set<string> {
  return new Set(nodesIn(json).map(({ metadata }) => metadata.name));
}

/** Pure: names of the Ready nodes in `ctl get nodes -o json`. */
export function readyNodes(json: string): Set<string> {
  const ready = (node: NodeObject): boolean =>
    node.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
  return new Set(
    nodesIn(json)
      .filter(ready)
      .map((node) => node.metadata.name),
  );
}

/** Runs ctl of this clone against the lab. */
export function ctl(host: Host, lab: string, args: readonly string[], options: { input?: string } = {}) {
  return host.exec.run([join(cloneFolder, 'node_modules/.bin/node'), join(cloneFolder, 'cli/main.ts'), ...args], {
    env: { GANTRY_CONFIG: adminConfig(lab), NODE_COMPILE_CACHE: compileCacheFolder },
    ...options,
  });
}

/** Polls `attempt` until it returns a value; the error of the last attempt and the program's log explain a failure. */
async function until<T>(
  host: Host,
  lab: string,
  /** Whose log explains it. */
  whose: () => MachineSpec | undefined,
  failure: string,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = host.clock.monotonicMs() + readyTimeoutMs;
  let lastError: unknown;
  while (host.clock.monotonicMs() < deadline) {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      lastError = error;
    }
    await host.clock.sleep(100);
  }
  const reason = lastError instanceof Error ? `: ${lastError.message}` : '';
  const machine = whose();
  const log = machine ? programLog(lab, machine) : '';
  throw new GantryError('deadlineExceeded', `${failure} within ${readyTimeoutMs / 1000} s${reason}`, {
    cause: lastError,
    details: log === '' ? [] : [`last lines of ${machine?.program} on ${machine?.name}:`, ...log.split('\n')],
  });
}
