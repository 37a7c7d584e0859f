/** A process that reads from the API as it is told by its parent, and answers how long that took. */
import { readConfig } from '../../../cli/config.ts';
import { connectTo } from '../../../cli/connection.ts';
import { adminConfPath } from '../../../lib/pki/cluster-pki.ts';
import { askSteadily, type ReadJob } from './load.ts';

/** Two of three reads are of one pod, the others are lists of a page of fifty. */
process.on('message', async ({ dataDir, readsPerSecond, durationMs, pods }: ReadJob) => {
  const cluster = connectTo(readConfig(adminConfPath(dataDir)));
  const answers = await askSteadily({ perSecond: readsPerSecond, durationMs }, (index) => {
    const { namespace, name } = pods[(index * 7919) % pods.length]!;
    if (index % 3 < 2) return cluster.Get({ kind: 'Pod', namespace, name });
    return cluster.List({ kind: 'Pod', namespace, limit: 50 });
  });
  process.send!(answers, () => process.exit());
});
process.on('disconnect', () => process.exit(1));
