/** The node's DNS as a process of its own, so that it can live in a network namespace: prints "ready" when it answers. */
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { startNodeDns } from '../../node-agent/dns/node-dns.ts';
import type { KubeObject } from '../../proto/gen/types.ts';
import { TestSlice } from './overlay-machines.ts';

const slice = new TestSlice();
slice.set(JSON.parse(process.argv[2]!) as KubeObject[]);
await startNodeDns({
  dnsIP: '10.43.0.10',
  zone: 'cluster.local',
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.43.0.0/16',
  slice,
  exec: systemExec(),
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
  upstreams: process.argv.slice(3),
});
process.stdout.write('ready\n');
