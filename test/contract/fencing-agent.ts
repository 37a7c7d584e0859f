/**
 * An agent to be killed or stopped: guards one pod and renews five times a second, and says so once.
 * usage: node fencing-agent.ts FOLDER CGROUP_PARENT POD_UID STOP_AFTER_MS
 */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { openWatchdog } from '../../node-agent/fencing/process.ts';
import { detectCgroups, processDirs } from '../../node-agent/runtime/cgroup.ts';

const [folder, cgroupParent, uid, stopAfterMs] = process.argv.slice(2) as [string, string, string, string];
const layout = detectCgroups(readFileSync('/proc/self/mountinfo', 'utf8'))!;
const watchdog = openWatchdog({
  folder,
  cgroupDirs: (podUid) => processDirs(layout, `${cgroupParent}/pod${podUid}`),
  ...{ exec: systemExec(), clock: systemClock, log: silentLog },
});
watchdog.renew(watchdog.nowMs());
await watchdog.guard({ uid, stopAfterMs: Number(stopAfterMs) });
process.stdout.write('guarding\n');
for (;;) {
  watchdog.renew(watchdog.nowMs());
  await systemClock.sleep(200);
}
