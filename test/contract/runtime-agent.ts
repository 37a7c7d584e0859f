/**
 * An agent to be killed: opens the runtime over the folders it is told, starts one container, says so and waits.
 * usage: node runtime-agent.ts DATA_DIR RUN_DIR CGROUP_PARENT SANDBOX_JSON CONTAINER_JSON
 */
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { openRuncRuntime } from '../../node-agent/runtime/runc.ts';

const [dataDir, runDir, cgroupParent, sandbox, container] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const runtime = await openRuncRuntime({
  ...{ dataDir, runDir, cgroupParent },
  ...{ exec: systemExec(), clock: systemClock, log: silentLog },
});
const config = JSON.parse(container);
await runtime.createSandbox(JSON.parse(sandbox));
await runtime.createContainer(config);
await runtime.startContainer(config.id);
process.stdout.write('started\n');
await systemClock.sleep(600_000);
