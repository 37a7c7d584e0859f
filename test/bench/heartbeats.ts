/**
 * `npm run bench -- heartbeats [--nodes N]`: hollow agents that do nothing but say that they are alive, to one real
 * control plane over gRPC with mutual TLS, each on a connection of its own; then the leader stands still, and agents
 * have no time. As many nodes as join within five minutes, if not all.
 */
import { systemClock } from '../../lib/clock.ts';
import { Fleet } from './hollow/fleet.ts';
import { countFalsePositives, measureHeartbeats } from './hollow/liveness.ts';
import { Plane } from './hollow/plane.ts';
import type { Report } from './report.ts';

const bench = 'heartbeats';
const joinMs = 300_000;
const step = 250;
const agentProcesses = 3;
const busyAgents = 2;

export async function run(report: Report, { nodes = 5_000 }: { readonly nodes?: number } = {}): Promise<void> {
  const plane = await Plane.start();
  let fleet: Fleet | undefined;
  try {
    const { token = '' } = await plane.cluster.CreateToken({ role: 'node' });
    const { address, joinPort, folder } = plane;
    fleet = new Fleet({ servers: [address], joinPort, token, dataDir: `${folder}/nodes` }, agentProcesses);
    const startMs = systemClock.monotonicMs();
    const before = plane.cpuSeconds();
    const timeIsUp = (): boolean => systemClock.monotonicMs() - startMs > joinMs;
    while (fleet.size < nodes && !timeIsUp()) {
      fleet.grow(Math.min(step, nodes - fleet.size));
      while (fleet.connected < fleet.size) {
        await systemClock.sleep(200);
        fleet.check();
      }
    }
    const joined = fleet.connected;
    const seconds = (systemClock.monotonicMs() - startMs) / 1000;
    report({ bench, metric: `${joined} nodes joined`, value: seconds, unit: 's' });
    const each = ((plane.cpuSeconds() - before) / joined) * 1000;
    report({ bench, metric: 'joining, for each node', value: each, unit: 'ms of processor time' });
    const say = (metric: Parameters<Parameters<typeof measureHeartbeats>[2]>[0]) => report({ bench, ...metric });
    await measureHeartbeats(plane, joined, say);
    await countFalsePositives(plane, token, busyAgents, say);
    report({ bench, metric: 'control plane resident', value: plane.residentBytes() / 2 ** 20, unit: 'MiB' });
  } finally {
    await fleet?.end();
    await plane.remove();
  }
}
