/** Resident memory and idle CPU of the processes of a lab that runs the sample's size of workload. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../lib/clock.ts';
import { apply, followPods, running, sleepers, withCluster } from './cluster.ts';
import type { Report } from './report.ts';

const bench = 'footprint';
const idleMs = 20_000;
const clockTicksPerSecond = 100;
const pageBytes = 4096;

export async function run(report: Report): Promise<void> {
  await withCluster(3, async ({ lab, cluster }) => {
    await apply(cluster, sleepers('idle', 9));
    await followPods(cluster, 'app=idle', systemClock.monotonicMs(), 120_000, (pods) => running(pods) === 9);
    const processes = (await lab.status()).processes.filter(({ role }) =>
      ['control-plane', 'node-agent', 'etcd'].includes(role),
    );
    await systemClock.sleep(idleMs / 4); // what starting left to collect is collected now
    const before = processes.map(({ pid }) => cpuSeconds(pid));
    await systemClock.sleep(idleMs);
    processes.forEach(({ role, node, pid }, index) => {
      const name = role === 'node-agent' ? `agent ${node}` : role;
      report({
        bench,
        metric: `${name} resident`,
        value: residentBytes(pid) / 1e6,
        unit: 'MB',
        ...(role === 'node-agent' && { target: { bound: '<=' as const, value: 90 } }),
      });
      const cpu = ((cpuSeconds(pid) - before[index]!) / (idleMs / 1000)) * 100;
      report({ bench, metric: `${name} idle cpu`, value: cpu, unit: '% of a core' });
    });
  });
}

/** proc_pid_stat(5): utime and stime are fields 14 and 15. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageBytes;
}
