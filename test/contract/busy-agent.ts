/**
 * An agent that can be told to be busy: joins, keeps a session with a thread to stand in for it, and says so. Each line on its
 * standard input is a number of milliseconds in which it gets round to nothing.
 * usage: node busy-agent.ts SERVER JOIN_PORT TOKEN DATA_DIR
 */
import { createInterface } from 'node:readline';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { createFencing, lapseMs } from '../../node-agent/fencing/fencing.ts';
import { openWatchdog } from '../../node-agent/fencing/process.ts';
import { identityFile, obtainIdentity } from '../../node-agent/session/join.ts';
import { createSessionClient, rpcTransport } from '../../node-agent/session/session-client.ts';
import { openSliceStore } from '../../node-agent/session/slice-store.ts';
import { startStandIn } from '../../node-agent/session/stand-in-host.ts';

const [server, joinPort, token, dataDir] = process.argv.slice(2) as [string, string, string, string];
const common = { clock: systemClock, random: systemRandom, log: silentLog };
const signal = new AbortController().signal;
const nodeName = 'busy';
const join = { dataDir, nodeName, machineID: 'm', servers: [server], joinPort: Number(joinPort), token, ...common };
const tls = await obtainIdentity(join, signal);
const folder = `${dataDir}/fencing`;
const watchdog = openWatchdog({ folder, cgroupDirs: () => [], exec: systemExec(), ...common });
const session = createSessionClient({
  servers: [server],
  transport: rpcTransport(tls),
  slice: await openSliceStore({ file: `${dataDir}/slice`, ...common }),
  node: () => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName }, spec: {} }),
  podUIDs: () => [],
  lease: createFencing(watchdog),
  standIn: startStandIn({ identityFile: identityFile({ dataDir }), fencingFolder: folder, lapseMs, ...common }),
  onWelcome: () => void process.stdout.write('in session\n'),
  ...common,
});
createInterface({ input: process.stdin }).on('line', (line) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(line));
  process.stdout.write('done\n');
});
await session.run(signal);
