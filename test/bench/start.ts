/** From apply to all Running, beside `runc run` alone for as many containers on the same machine. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { systemExec } from '../../lib/process.ts';
import { apply, followPods, removeDeployment, running, sleepers, withCluster } from './cluster.ts';
import type { Report } from './report.ts';

const bench = 'start';
/** As many at once as the agents of the lab together use cores. */
const runcConcurrency = 4;

export async function run(report: Report): Promise<void> {
  const peers = new Map<number, number>();
  for (const count of [3, 60]) peers.set(count, await runcAlone(count));
  await withCluster(3, async ({ cluster }) => {
    await apply(cluster, sleepers('warm', 3)); // the image is on every node before anything is measured
    await followPods(cluster, 'app=warm', systemClock.monotonicMs(), 120_000, (pods) => running(pods) === 3);
    await removeDeployment(cluster, 'warm');
    for (const count of [3, 60]) {
      const startMs = systemClock.monotonicMs();
      const name = `start-${count}`;
      const followed = followPods(cluster, `app=${name}`, startMs, 180_000, (pods) => running(pods) === count);
      await apply(cluster, sleepers(name, count));
      report({
        bench,
        metric: `${count} replicas Running`,
        value: (await followed) / 1000,
        unit: 's',
        peer: { name: `runc run x ${count}`, value: peers.get(count)! / 1000 },
        ...(count === 60 && { target: { bound: '<=' as const, value: 6 } }),
      });
      await removeDeployment(cluster, name);
    }
  });
}

/** Milliseconds for `count` detached `runc run` of the same sleep, without network, images or a shim. */
async function runcAlone(count: number): Promise<number> {
  const exec = systemExec(runcConcurrency);
  const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
  const root = ['runc', '--root', join(folder, 'state')];
  const ids = Array.from({ length: count }, (_, i) => `gantry-bench-${process.pid}-${i}`);
  try {
    mkdirSync(join(folder, 'rootfs/bin'), { recursive: true });
    for (const path of ['proc', 'dev', 'sys']) mkdirSync(join(folder, 'rootfs', path));
    await exec.check(['cp', '/bin/busybox', join(folder, 'rootfs/bin/busybox')]);
    await exec.check(['runc', 'spec'], { cwd: folder });
    const spec = JSON.parse((await exec.check(['cat', join(folder, 'config.json')])).stdout);
    spec.process.terminal = false;
    spec.process.args = ['/bin/busybox', 'sleep', '600'];
    spec.process.rlimits = [];
    writeFileSync(join(folder, 'config.json'), JSON.stringify(spec));
    const startMs = systemClock.monotonicMs();
    await Promise.all(ids.map((id) => exec.check([...root, 'run', '--detach', '--bundle', folder, id])));
    return systemClock.monotonicMs() - startMs;
  } finally {
    await Promise.all(ids.map((id) => exec.run([...root, 'delete', '--force', id])));
    rmSync(folder, { recursive: true, force: true });
  }
}
