/** What being alive costs, and whether anybody is taken for dead who is not. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../lib/clock.ts';
import { GantryError } from '../../../lib/errors.ts';
import { systemExec } from '../../../lib/process.ts';
import type { Metric } from '../report.ts';
import { onInterrupt } from './interrupted.ts';
import type { Plane } from './plane.ts';

export type Say = (metric: Omit<Metric, 'bench'>) => void;

const settleMs = 5_000;
const idleMs = 10_000;
const stallMs = 2_000;
/** Two leases: whoever is judged lost because of the stall is judged by then. */
const judgedMs = 6_000;
const busyMs = 15_000;
const startMs = 60_000;
const targetNodes = 5_000;
const targetCores = 0.5;
const busyProgram = fileURLToPath(new URL('busy-agent.ts', import.meta.url));

/** Nothing happens but heartbeats: one a second from each node, or less often when there are thousands (session/pace.ts). */
export async function measureHeartbeats(plane: Plane, nodes: number, say: Say): Promise<void> {
  await systemClock.sleep(settleMs); // what joining has left to do
  const before = plane.cpuSeconds();
  const startMs = systemClock.monotonicMs();
  await systemClock.sleep(idleMs);
  const cores = (plane.cpuSeconds() - before) / ((systemClock.monotonicMs() - startMs) / 1000);
  const target = { bound: '<=', value: targetCores } as const;
  say({ metric: `heartbeats of ${nodes} nodes`, value: cores, unit: 'cores', ...(nodes >= targetNodes && { target }) });
  say({ metric: 'for each node', value: (cores / nodes) * 1e6, unit: 'µs of processor time a second' });
}

/** Nodes that were declared dead because the leader stood still, or because an agent has no time for anything. */
export async function countFalsePositives(plane: Plane, token: string, busyAgents: number, say: Say): Promise<void> {
  const before = await plane.nodesLost();
  plane.signal('SIGSTOP');
  await systemClock.sleep(stallMs);
  plane.signal('SIGCONT');
  await systemClock.sleep(judgedMs);
  const afterStall = (await plane.nodesLost()) - before;
  const target = { bound: '<=', value: 0 } as const;
  say({ metric: 'false positives: leader stalled for 2 s', value: afterStall, unit: 'nodes', target });
  const lostBusy = await lostWhileBusy(plane, token, busyAgents);
  say({ metric: `false positives: ${busyAgents} agents at 100 % CPU`, value: lostBusy, unit: 'nodes', target });
}

async function lostWhileBusy(plane: Plane, token: string, count: number): Promise<number> {
  const names = Array.from({ length: count }, (_, index) => `busy-${index}`);
  const agents = names.map((name) => {
    const argv = [busyProgram, name, plane.address, String(plane.joinPort), token, `${plane.folder}/nodes/${name}`];
    return systemExec().start([process.execPath, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
  });
  const end = (): void => agents.forEach((agent) => void agent.kill('SIGKILL'));
  const forget = onInterrupt(end);
  try {
    const started = Promise.all(agents.map((agent) => once(agent.stdout!, 'data'))).then(() => true);
    const late = systemClock.sleep(startMs).then(() => false);
    if (!(await Promise.race([started, late])))
      throw new GantryError('unavailable', 'the busy agents did not join in time');
    await systemClock.sleep(settleMs);
    const before = await plane.nodesLost();
    for (const agent of agents) agent.stdin!.write('go\n');
    await systemClock.sleep(busyMs);
    return (await plane.nodesLost()) - before;
  } finally {
    forget();
    end();
  }
}
