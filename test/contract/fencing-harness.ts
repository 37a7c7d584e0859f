/** Watchdogs behind one set of handles: the fake over the fake host, the real one over runc. Both on real time. */
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { createFakeWatchdog } from '../../node-agent/fencing/fake.ts';
import { openWatchdog, type WatchdogProcess } from '../../node-agent/fencing/process.ts';
import type { Watchdog } from '../../node-agent/fencing/watchdog.ts';
import { detectCgroups, processDirs } from '../../node-agent/runtime/cgroup.ts';
import { createFakeHost } from '../../node-agent/runtime/fake.ts';
import { fakeRuntimeHarness, type RuntimeHarness, runcHarness } from './runtime-harness.ts';

export interface FencingHarness {
  readonly runtime: RuntimeHarness;
  readonly watchdog: Watchdog;
  /** Another agent takes over. */
  restartAgent(): void;
  /** The machine has been off; the runtime's part is not played. */
  reboot(): void;
  dispose(): Promise<void>;
}

export async function fakeFencing(): Promise<FencingHarness> {
  const host = createFakeHost({ clock: systemClock });
  const runtime = await fakeRuntimeHarness(host);
  const watchdog = createFakeWatchdog({ clock: systemClock, kill: (uid) => host.killPod(uid) });
  return {
    runtime,
    watchdog,
    restartAgent() {},
    reboot: () => watchdog.powerOff(),
    async dispose() {
      for (const uid of watchdog.guarded()) await watchdog.release(uid);
      await runtime.dispose();
    },
  };
}

export async function realFencing(): Promise<FencingHarness & { readonly folder: string; watchdog: WatchdogProcess }> {
  const runtime = await runcHarness();
  const folder = `${runtime.dir}/fencing`;
  const layout = detectCgroups(readFileSync('/proc/self/mountinfo', 'utf8'))!;
  const open = (): WatchdogProcess =>
    openWatchdog({
      folder,
      cgroupDirs: (uid) => processDirs(layout, `${runtime.cgroupParent}/pod${uid}`),
      ...{ exec: systemExec(), clock: systemClock, log: silentLog },
    });
  let watchdog = open();
  const reopen = (): void => {
    watchdog.close();
    watchdog = open();
  };
  return {
    runtime,
    folder,
    get watchdog() {
      return watchdog;
    },
    restartAgent: reopen,
    reboot() {
      watchdog.close();
      writeFileSync(`${folder}/boot`, 'another boot');
      watchdog = open();
    },
    async dispose() {
      for (const uid of watchdog.guarded()) await watchdog.release(uid);
      watchdog.close();
      await rm(folder, { recursive: true });
      await runtime.dispose();
    },
  };
}
