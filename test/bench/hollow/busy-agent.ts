/**
 * An agent at 100 % of a processor: its main loop works for two leases at a time, again and again. The thread that
 * stands in for it is the production one.
 * usage: node busy-agent.ts NODE SERVER JOIN_PORT TOKEN DATA_DIR
 */
import { constants, setPriority } from 'node:os';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemExec } from '../../../lib/process.ts';
import { systemRandom } from '../../../lib/random.ts';
import { createFencing, lapseMs } from '../../../node-agent/fencing/fencing.ts';
import { openWatchdog } from '../../../node-agent/fencing/process.ts';
import { identityFile, obtainIdentity } from '../../../node-agent/session/join.ts';
import { createSessionClient, rpcTransport } from '../../../node-agent/session/session-client.ts';
import { openSliceStore } from '../../../node-agent/session/slice-store.ts';
import { startStandIn } from '../../../node-agent/session/stand-in-host.ts';

// It has a machine of its own, and would take all of this one from the other agents and the control plane.
setPriority(constants.priority.PRIORITY_LOW);
const [nodeName, server, joinPort, token, dataDir] = process.argv.slice(2) as [string, string, string, string, string];
const busyMs = 6_000;
const pauseMs = 5;
const common = { clock: systemClock, random: systemRandom, log: silentLog };
const { signal } = new AbortController();
const machineID = `machine-of-${nodeName}`;
const tls = await obtainIdentity(
  { dataDir, nodeName, machineID, servers: [server], joinPort: Number(joinPort), token, ...common },
  signal,
);
const folder = `${dataDir}/fencing`;
const watchdog = openWatchdog({ folder, cgroupDirs: () => [], exec: systemExec(), ...common });
process.once('SIGTERM', () => {
  watchdog.close();
  process.exit();
});
const session = createSessionClient({
  servers: [server],
  transport: rpcTransport(tls),
  slice: await openSliceStore({ file: `${dataDir}/slice`, ...common }),
  node: () => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName }, spec: { unschedulable: true } }),
  podUIDs: () => [],
  lease: createFencing(watchdog),
  standIn: startStandIn({ identityFile: identityFile({ dataDir }), fencingFolder: folder, lapseMs, ...common }),
  onWelcome: () => void process.stdout.write('in session\n'),
  ...common,
});
process.stdin.once('data', () => work());

function work(): void {
  for (const endMs = systemClock.monotonicMs() + busyMs; systemClock.monotonicMs() < endMs; );
  systemClock.schedule(pauseMs, work);
}

await session.run(signal);
