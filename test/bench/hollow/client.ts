/** A client of the API in a process of its own: asks as its parent says, answers how long that took, and ends. */
import { constants, setPriority } from 'node:os';
import { readConfig } from '../../../cli/config.ts';
import { connectTo } from '../../../cli/connection.ts';
import { adminConfPath } from '../../../lib/pki/cluster-pki.ts';
import { askSteadily, type ClientJob, readOnce, writeOnce } from './load.ts';

process.on('message', async ({ dataDir, verb, perSecond, durationMs, pods }: ClientJob) => {
  // Clients have machines of their own: those whose answers' time is not in question give way to the control plane.
  if (verb === 'write') setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const cluster = connectTo(readConfig(adminConfPath(dataDir)));
  const answers = await askSteadily({ perSecond, durationMs }, (index) =>
    verb === 'write' ? writeOnce(cluster, index) : readOnce(cluster, pods, index),
  );
  process.send!(answers, () => process.exit());
});
process.on('disconnect', () => process.exit(1));
