/** Resident memory and idle CPU of the processes of a lab that runs the sample's size of workload. */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../lib/clock.ts';
import { apply, followPods, removeDeployment, running, sleepers, withCluster } from './cluster.ts';
import type { Report } from './report.ts';

const bench = 'footprint';
const idleMs = 20_000;
const clockTicksPerSecond = 100;

export async function run(report: Report): Promise<void> {
  await withCluster(3, async ({ lab, cluster }) => {
    const start = async (name: string, count: number): Promise<void> => {
      await apply(cluster, sleepers(name, count));
      await followPods(cluster, `app=${name}`, systemClock.monotonicMs(), 120_000, (pods) => running(pods) === count);
    };
    await start('idle', 9);
    const processes = (await lab.status()).processes.filter(({ role }) =>
      ['control-plane', 'node-agent', 'etcd'].includes(role),
    );
    const resident = (when: string): void => {
      for (const { role, node, pid } of processes) {
        const name = `${role === 'node-agent' ? `agent ${node}` : role} resident${when}`;
        if (role !== 'node-agent') {
          report({ bench, metric: name, value: bytesOf(pid, 'VmRSS') / 1e6, unit: 'MB' });
          continue;
        }
        const target = { bound: '<=' as const, value: 90 };
        report({ bench, metric: name, value: bytesOf(pid, 'VmRSS') / 1e6, unit: 'MB', target });
        // The rest are pages of Node itself, which every process of the machine that runs it shares.
        report({ bench, metric: `${name}, of no file`, value: bytesOf(pid, 'RssAnon') / 1e6, unit: 'MB' });
      }
    };
    await systemClock.sleep(idleMs / 4); // what starting left to collect is collected now
    const before = processes.map(({ pid }) => cpuSeconds(pid));
    await systemClock.sleep(idleMs);
    resident('');
    processes.forEach(({ role, node, pid }, index) => {
      const cpu = ((cpuSeconds(pid) - before[index]!) / (idleMs / 1000)) * 100;
      const name = role === 'node-agent' ? `agent ${node}` : role;
      report({ bench, metric: `${name} idle cpu`, value: cpu, unit: '% of a core' });
    });
    await start('burst', 60);
    await removeDeployment(cluster, 'burst');
    resident(' at work');
    await systemClock.sleep(idleMs + idleMs / 4);
    resident(' after 60 pods');
  });
}

/** proc_pid_stat(5): utime and stime are fields 14 and 15. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
}

/** proc_pid_status(5). */
function bytesOf(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  return (
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
  );
}
