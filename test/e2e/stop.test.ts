/**
 * `npm start` and `npm stop` (without the set-up before them) leave the host as it was, also when something crashed in
 * between. What other people's labs do meanwhile is left out of the comparison.
 */
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inventory, inventoryDifference } from '../../deploy/lab/inventory.ts';
import { removeLab } from '../../deploy/lab/lab.ts';
import { cloneFolder, labFolder, readState } from '../../deploy/lab/state.ts';
import { systemClock } from '../../lib/clock.ts';
import type { RunResult } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { host, type Lab, labNamed, waitFor } from './lab-fixture.ts';

const node = join(cloneFolder, 'node_modules/.bin/node');
let name: string;
let before: string[];

const start = (): Promise<RunResult> =>
  host.exec.run([node, join(cloneFolder, 'deploy/start.ts'), '--name', name, '--nodes', '2'], { timeoutMs: 180_000 });
const stop = (): Promise<RunResult> => host.exec.run([node, join(cloneFolder, 'deploy/stop.ts'), '--name', name]);

beforeEach(async () => {
  name = `e2e-${systemRandom.suffix(5)}`;
  before = await inventory(host.exec);
});
afterEach(() => removeLab(host, name));

async function nothingIsLeft(): Promise<void> {
  // The kernel takes network namespaces apart in its own time.
  await waitFor('the host is as it was', 15_000, async () => {
    const difference = inventoryDifference(before, await inventory(host.exec), name);
    if (difference.length > 0) throw new Error(`\n${difference.join('\n')}`);
    return true;
  });
}

/** The lab that `start` made, without the hold that the fixture has on those it made itself. */
async function withLab<T>(work: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = labNamed(name);
  try {
    return await work(lab);
  } finally {
    lab.release();
  }
}

describe('npm stop', () => {
  test('after a start that brought the sample up leaves nothing; a second start is quick', async () => {
    const started = await start();
    expect(started).toMatchObject({ exitCode: 0 });
    expect(started.stdout).toContain('sample Running');
    expect(started.stdout).toContain(`npm stop -- --name ${name}`);
    await withLab(async (lab) => {
      expect(await lab.check(['get', 'deploy', 'echo'])).toMatch(/^echo +3\/3 /m);
      expect(inventoryDifference(before, await inventory(host.exec), name).length).toBeGreaterThan(20);
      const programs = await lab.processes('node-agent');
      const startedMs = systemClock.monotonicMs();
      const again = await start();
      expect([again.exitCode, again.stdout.includes('is up already')]).toEqual([0, true]);
      expect(systemClock.monotonicMs() - startedMs).toBeLessThan(10_000);
      expect(await lab.processes('node-agent')).toEqual(programs);
    });
    expect(await stop()).toMatchObject({ exitCode: 0 });
    await nothingIsLeft();
    expect(await stop()).toMatchObject({ exitCode: 0 }); // nothing to do is fine
    await nothingIsLeft();
  });

  test('after a crash of machines and a state that is half gone leaves nothing', async () => {
    expect(await start()).toMatchObject({ exitCode: 0 });
    const state = readState(name)!;
    // One machine dies, one loses its agent's files, and what was known of the lab is cut off in the middle.
    const [first, second] = state.machines.filter(({ role }) => role === 'node');
    process.kill(first!.init!.pid, 'SIGKILL');
    rmSync(join(labFolder(name), 'machines', second!.name, 'data', 'pods'), { recursive: true, force: true });
    truncateSync(join(labFolder(name), 'lab.json'), 40);
    rmSync(join(labFolder(name), 'admin.conf'));
    expect(await stop()).toMatchObject({ exitCode: 0 });
    await nothingIsLeft();
  });

  test('after a kill -9 of everything that has a name leaves nothing, and the lab can be made again', async () => {
    expect(await start()).toMatchObject({ exitCode: 0 });
    for (const { init } of readState(name)!.machines) process.kill(init!.pid, 'SIGKILL');
    expect(await start()).toMatchObject({ exitCode: 0 });
    await withLab(async (lab) => {
      expect(await lab.check(['get', 'deploy', 'echo'])).toMatch(/^echo +3\/3 /m);
    });
    expect(await stop()).toMatchObject({ exitCode: 0 });
    await nothingIsLeft();
  });

  test('after a start that was killed on its way leaves nothing', async () => {
    const argv = [node, join(cloneFolder, 'deploy/start.ts'), '--name', name, '--nodes', '2'];
    const child = host.exec.start(argv, { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await waitFor('it has begun to boot nodes', 60_000, () => {
      const machines = readdirSync(join(labFolder(name), 'machines'));
      return machines.some((machine) => machine.startsWith('node-'));
    });
    child.kill('SIGKILL');
    await ended;
    expect(await stop()).toMatchObject({ exitCode: 0 });
    await nothingIsLeft();
  });
});
