/** One seed from begin to end: rounds of life under faults, each followed by healing and by what must then hold. */
import { systemClock } from '../../lib/clock.ts';
import { type Authority, createAuthority } from '../../lib/pki/certificates.ts';
import { systemRandom } from '../../lib/random.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { type Plants, SimCluster } from './cluster.ts';
import { type FaultName, Faults } from './faults/faults.ts';
import type { Invariant, Violation } from './violations.ts';
import { World } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  /** Virtual hours; at least one round is run. */
  readonly hours: number;
  readonly plants?: Plants;
  /** No faults: for looking at the happy path. */
  readonly calm?: boolean;
  /** A run that is about one thing. */
  readonly focus?: Focus;
  readonly onLine?: (line: string) => void;
  readonly onLog?: (line: string) => void;
}

export interface Focus {
  /** What users make. */
  readonly kinds?: readonly KubeObject['kind'][];
  readonly faults?: readonly FaultName[];
}

export interface RunResult {
  readonly seed: number;
  readonly hash: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly violations: readonly Violation[];
}

/** Some runs are about few kinds, so that what belongs together meets more often than by chance. */
const themes: readonly (readonly KubeObject['kind'][])[] = [
  ['StatefulSet', 'Pod', 'PersistentVolumeClaim'],
  ['Deployment', 'StatefulSet', 'HorizontalPodAutoscaler', 'LimitRange'],
  ['Deployment', 'ConfigMap', 'Secret', 'Service'],
];

export const convergeWithinMs = 120_000;
/** Longer than it takes to notice that somebody is missing. */
const steadyMs = 10_000;
const settleMs = 10_000;
const restMs = 10_000;
const hourMs = 3_600_000;

export async function runSeed(options: RunOptions): Promise<RunResult> {
  const { seed, hours, plants, focus = {}, calm = false, onLine, onLog } = options;
  const world = new World(seed);
  world.onLine = onLine;
  const nodes = 3 + Math.floor(world.random.next() * 2);
  const theme = world.chance(0.4) ? world.pick(themes) : undefined;
  const kinds = focus.kinds ?? theme;
  const cluster = new SimCluster(world, {
    replicas: world.chance(0.3) ? 1 : 3,
    nodes,
    users: 2,
    mostPods: nodes * 2,
    authority: await authority(),
    clockDrift: calm ? 0 : world.pick([0, 0.001, 0.02]),
    ...(plants && { plants }),
    ...(kinds && { kinds }),
    ...(onLog && { onLog }),
  });
  const faults = new Faults(cluster, calm ? [] : focus.faults);
  cluster.start();
  do {
    for (const user of cluster.users) void user.work();
    await runRound(cluster, faults);
  } while (world.nowMs < hours * hourMs && cluster.violations.length === 0);
  return {
    seed,
    hash: world.hash(),
    steps: world.steps,
    virtualMs: Math.round(world.nowMs),
    violations: cluster.violations,
  };
}

async function runRound(cluster: SimCluster, faults: Faults): Promise<void> {
  const { world, violations } = cluster;
  const violated = (): boolean => violations.length > 0;
  const endMs = world.nowMs + world.between(10_000, faults.mostMs);
  faults.begin(endMs);
  await world.run(endMs, violated);
  if (violated()) return;
  for (const user of cluster.users) user.rest();
  faults.heal();
  void cluster.administrator.tidyUp(cluster.nodes);
  if (await converge(cluster)) await rest(cluster);
  cluster.administrator.rest();
}

async function converge(cluster: SimCluster): Promise<boolean> {
  const { world, violations } = cluster;
  const deadlineMs = world.nowMs + convergeWithinMs;
  let sinceMs = world.nowMs;
  while (violations.length === 0) {
    const problems = cluster.problems();
    if (problems.length > 0) sinceMs = world.nowMs;
    else if (world.nowMs - sinceMs >= steadyMs) return true;
    if (world.nowMs >= deadlineMs && problems.length > 0) {
      cluster.report(invariantOf(cluster, problems), problems.slice(0, 5).join('; '));
      return false;
    }
    await world.run(world.nowMs + 500, () => violations.length > 0);
  }
  return false;
}

function invariantOf(cluster: SimCluster, problems: readonly string[]): Invariant {
  const [leaks, configuration] = [cluster.leaks(), cluster.configurationProblems()];
  if (problems.every((problem) => leaks.includes(problem))) return 'no-leaks';
  return problems.every((problem) => configuration.includes(problem)) ? 'configuration' : 'converges';
}

/** Nothing is written when there is nothing to do; Events may still be told, and forgotten. */
async function rest(cluster: SimCluster): Promise<void> {
  const { world, checker, violations } = cluster;
  // Agents look at their machines every ten seconds, and may still find something to say.
  await world.run(world.nowMs + settleMs, () => violations.length > 0);
  const before = checker.writes;
  const beforeRevision = checker.revision;
  await world.run(world.nowMs + restMs, () => violations.length > 0);
  if (violations.length > 0) return;
  cluster.checkMirrors();
  const written = checker.writes - before;
  if (written > 0) {
    const changes = checker.log.slice(Number(beforeRevision) + 1).flat();
    const keys = [...new Set(changes.map(({ key }) => key))].slice(0, 5).join(', ');
    cluster.report('comes-to-rest', `${written} writes in ${restMs / 1000} s of rest: ${keys}`);
  }
  const problems = cluster.problems();
  if (problems.length > 0) cluster.report('converges', `no longer converged: ${problems.slice(0, 5).join('; ')}`);
}

/** Made once a process; nothing in a run depends on what is in it. */
let made: Promise<Authority> | undefined;
export function authority(): Promise<Authority> {
  made ??= createAuthority('gantry-sim', { clock: systemClock, random: systemRandom });
  return made;
}
