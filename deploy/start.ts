/**
 * `npm start`: a lab of three nodes with the sample on it, and what to try next. Called again while the lab is up, it
 * finds every step done, and the lab keeps its size. usage: npm start -- [--name LAB] [--nodes N]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../lib/clock.ts';
import { GantryError } from '../lib/errors.ts';
import { systemExec } from '../lib/process.ts';
import { ensureImages } from './images/build.ts';
import { ctl, up } from './lab/cluster.ts';
import type { Host } from './lab/machine.ts';
import { adminConfig, cloneFolder, readState, runningInit } from './lab/state.ts';
import { launcherCommand, linkLauncher } from './launcher.ts';
import { createSteps } from './steps.ts';

const sampleTimeoutMs = 120_000;
const sample = 'examples/app.yaml';

const { values } = parseArgs({
  options: { name: { type: 'string', default: 'default' }, nodes: { type: 'string' } },
});
const host: Host = { exec: systemExec(), clock: systemClock };
const steps = createSteps(systemClock, process.stdout);

try {
  await start(values.name, values.nodes === undefined ? undefined : Number(values.nodes));
} catch (error) {
  steps.fail(error);
  console.log('\nTry again with: npm start     Take down what is there with: npm stop');
  process.exitCode = 1;
}

async function start(name: string, nodes: number | undefined): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  if (isUp(name)) console.log(`The lab "${name}" is up already; checking it.`);
  let done = steps.begin('images');
  await ensureImages(host);
  done();
  await up(host, { name, ...(nodes !== undefined && { nodes }) }, steps.begin);

  done = steps.begin(`sample applied (${sample})`);
  const applied = await ctl(host, name, ['apply', '-f', join(cloneFolder, sample)]);
  if (applied.exitCode !== 0) throw new GantryError('internal', applied.stderr.trim());
  done();
  done = steps.begin('sample Running');
  await waitForDeployments(name);
  done();

  if (name === 'default') linkLauncher();
  const command = launcherCommand();
  const seconds = ((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1);
  console.log(nextCommands(command, name, seconds));
}

function isUp(name: string): boolean {
  const state = readState(name);
  return state !== undefined && state.machines.length > 0 && state.machines.every((one) => runningInit(state, one));
}

async function waitForDeployments(name: string): Promise<void> {
  const deadline = systemClock.monotonicMs() + sampleTimeoutMs;
  for (;;) {
    const waiting = await waitingFor(name);
    if (waiting.length === 0) return;
    if (systemClock.monotonicMs() > deadline) {
      const pods = await ctl(host, name, ['get', 'pods', '-o', 'wide']);
      throw new GantryError('deadlineExceeded', `the sample is not Running: ${waiting.join(', ')}`, {
        details: pods.stdout.trimEnd().split('\n'),
      });
    }
    await systemClock.sleep(200);
  }
}

/** "echo 2/3" for each Deployment that is not whole. */
async function waitingFor(name: string): Promise<string[]> {
  const { exitCode, stdout, stderr } = await ctl(host, name, ['get', 'deployments', '-o', 'json']);
  if (exitCode !== 0) return [stderr.trim()];
  interface Deployment {
    metadata: { name: string };
    spec: { replicas?: number };
    status?: { availableReplicas?: number; updatedReplicas?: number };
  }
  const { items } = JSON.parse(stdout) as { items: Deployment[] };
  return items.flatMap(({ metadata, spec, status }) => {
    const wanted = spec.replicas ?? 1;
    const have = Math.min(status?.availableReplicas ?? 0, status?.updatedReplicas ?? 0);
    return have >= wanted ? [] : [`${metadata.name} ${have}/${wanted}`];
  });
}

function nextCommands(command: string, name: string, seconds: string): string {
  const lab = name === 'default' ? '' : ` --name ${name}`;
  const configured = name === 'default' ? '' : `  export GANTRY_CONFIG=${adminConfig(name)}\n`;
  return `
The lab is up after ${seconds} s. Try:
${configured}
  ${command} get nodes
  ${command} get pods -o wide
  ${command} exec deploy/client -- wget -qO- http://echo
  ${command} dns echo.default.svc.cluster.local
  ${command} scale deployment echo --replicas 6
  ${command} lab kill node-2${lab}         then: ${command} get pods -o wide -w
  ${command} lab heal node-2${lab}

Stop it with: npm stop${name === 'default' ? '' : ` -- --name ${name}`}`;
}
