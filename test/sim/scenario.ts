/**
 * A scenario scripts one situation and shows its story: what was done to the cluster, and the Events that the cluster
 * told. The file holds the script, a line `---`, and the story as it should be (golden text); lines that begin with `#`
 * explain. Times are whole seconds, generated parts of names are `*`.
 *
 *   cluster seed=1 replicas=3 nodes=3     first line of the script
 *   show REASON...                        Events that belong to the story (default: all)
 *   apply KIND NAME [FIELD=VALUE...] (scenario-manifests.ts)   scale KIND NAME N   delete KIND NAME
 *   cordon NODE   uncordon NODE   power-off NODE   power-on NODE   kill PROCESS   start PROCESS   stall PROCESS SECONDS
 *   cut A B   cut-one-way A B   mend A B   etcd away|back   join-again NODE   machines (what runs on each)
 *   wait SECONDS   converge SECONDS
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Event } from '../../proto/gen/types.ts';
import { SimCluster } from './cluster.ts';
import { authority } from './run.ts';
import { manifest } from './scenario-manifests.ts';
import { World } from './world.ts';

export const scenarioFolder = join(import.meta.dirname, 'scenarios');

/** Longer than it takes to notice that somebody is missing. */
const steadyMs = 5_000;

interface Stage {
  readonly cluster: SimCluster;
  readonly tell: (line: string) => void;
}

type Command = (stage: Stage, ...words: string[]) => unknown;

export async function scenarioTrace(name: string): Promise<string> {
  const { script } = parseScenario(readFileSync(join(scenarioFolder, `${name}.txt`), 'utf8'));
  return runScript(script);
}

export function parseScenario(text: string): { readonly script: string; readonly story: string } {
  const [script = '', story = ''] = text.split(/^---\n/m);
  return { script, story };
}

export async function runScript(script: string): Promise<string> {
  const lines = script.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const story: string[] = [];
  const options = Object.fromEntries((lines[0] ?? '').split(' ').map((word) => word.split('=')));
  const world = new World(Number(options.seed ?? 1));
  const cluster = new SimCluster(world, {
    replicas: Number(options.replicas ?? 1),
    nodes: Number(options.nodes ?? 3),
    users: 1,
    mostPods: 100,
    authority: await authority(),
  });
  let beginMs = 0;
  const tell = (line: string): void => {
    const seconds = Math.round((world.nowMs - beginMs) / 1000);
    story.push(`${String(seconds).padStart(5)} s  ${line}`);
  };
  const shown = new Set(lines.filter((line) => line.startsWith('show ')).flatMap((line) => line.split(' ').slice(1)));
  cluster.start();
  const isServing = (): boolean => cluster.replicas.every(({ controlPlane }) => controlPlane !== undefined);
  await world.run(10_000, () => isServing() && readyNodes(cluster) === cluster.nodes.length);
  await world.run(world.nowMs + 1_000);
  beginMs = world.nowMs;
  cluster.checker.onEvent = (event) => {
    if (shown.size === 0 || shown.has(event.reason ?? '')) tell(sentence(event));
  };
  for (const line of lines.slice(1)) {
    if (line.startsWith('show ')) continue;
    const [verb = '', ...words] = line.trim().split(/\s+/);
    const command = commands[verb];
    if (!command) throw new Error(`"${line}": there is no command ${verb}`);
    if (verb !== 'wait') tell(`> ${line.trim()}`);
    await command({ cluster, tell }, ...words);
  }
  for (const { invariant, message } of cluster.violations) tell(`VIOLATED ${invariant}: ${message}`);
  return `${inOrder(story).join('\n')}\n`;
}

/** Within a second the order of Events is a matter of chance; steps of the script stay where they are. */
function inOrder(story: readonly string[]): string[] {
  const isStep = (line: string): boolean => line.slice(9).startsWith('> ');
  const groups = story.reduce<string[][]>((done, line) => {
    const last = done.at(-1);
    if (!last || isStep(line) || isStep(last[0]!) || last[0]!.slice(0, 9) !== line.slice(0, 9)) done.push([line]);
    else last.push(line);
    return done;
  }, []);
  return groups.flatMap((group) => group.sort());
}

function sentence({ reason, involvedObject, message = '' }: Event): string {
  return masked(`${reason} ${involvedObject.kind} ${involvedObject.name}: ${message}`);
}

/** Generated names differ with every change of the code; what matters is which workload they are of. */
function masked(text: string): string {
  return text.replace(/-[bcdfghjklmnpqrstvwxz2456789]{10}(-[bcdfghjklmnpqrstvwxz2456789]{5})?\b/g, '-*');
}

const commands: Readonly<Record<string, Command>> = {
  apply: ({ cluster }, kind, name, ...options) => void cluster.users[0]!.apply(manifest(kind!, name!, options)),
  scale: ({ cluster }, kind, name, replicas) => void cluster.users[0]!.scale(kind!, name!, Number(replicas)),
  delete: ({ cluster }, kind, name) => void cluster.users[0]!.delete(kind!, name!),
  cordon: ({ cluster }, name) => void cluster.users[0]!.setSchedulable(name!, false),
  uncordon: ({ cluster }, name) => void cluster.users[0]!.setSchedulable(name!, true),
  'power-off': ({ cluster }, name) => node(cluster, name).powerOff(),
  'join-again': ({ cluster }, name) => node(cluster, name).joinAgain(),
  machines({ cluster, tell }) {
    for (const { name, host } of cluster.nodes) {
      const running = [...host.containers.values()].filter(({ status }) => status.state === 'running').length;
      tell(`${name} runs ${running}`);
    }
  },
  'power-on': ({ cluster }, name) => node(cluster, name).powerOn(),
  kill({ cluster }, name) {
    const replica = cluster.replicas.find((one) => one.name === name);
    if (replica) replica.kill();
    else node(cluster, name).killAgent();
  },
  start({ cluster }, name) {
    const replica = cluster.replicas.find((one) => one.name === name);
    if (replica) replica.start();
    else node(cluster, name).startAgent();
  },
  stall({ cluster }, name, seconds) {
    const replica = cluster.replicas.find((one) => one.name === name);
    (replica?.process ?? node(cluster, name).agent)?.stall(Number(seconds) * 1000);
  },
  cut({ cluster: { network } }, a = '', b = '') {
    network.cut(a, b);
    network.cut(b, a);
  },
  'cut-one-way': ({ cluster: { network } }, a = '', b = '') => network.cut(a, b),
  mend({ cluster: { network } }, a = '', b = '') {
    network.mend(a, b);
    network.mend(b, a);
  },
  etcd({ cluster: { etcd } }, what) {
    etcd.health.available = what === 'back';
    etcd.memory.setAvailable(what === 'back');
  },
  wait: ({ cluster: { world } }, seconds) => world.run(world.nowMs + Number(seconds) * 1000),
  async converge({ cluster, tell }, seconds) {
    const { world } = cluster;
    const endMs = world.nowMs + Number(seconds) * 1000;
    let sinceMs = world.nowMs;
    while (world.nowMs < endMs) {
      await world.run(world.nowMs + 100);
      if (cluster.problems().length > 0) sinceMs = world.nowMs;
      else if (world.nowMs - sinceMs >= steadyMs) return tell('converged');
    }
    for (const problem of cluster.problems()) tell(masked(`not converged: ${problem}`));
  },
};

function readyNodes({ checker }: SimCluster): number {
  return checker
    .list('Node')
    .filter(({ status }) => status?.conditions?.some(({ type, status: ready }) => type === 'Ready' && ready === 'True'))
    .length;
}

function node({ nodes }: SimCluster, name: string | undefined) {
  const found = nodes.find((one) => one.name === name);
  if (!found) throw new Error(`there is no node or replica ${name}`);
  return found;
}
