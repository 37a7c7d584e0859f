/** The agent as a process: what it refuses before it does anything, and the lock on its data folder. */
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunResult, systemExec } from '../../lib/process.ts';
import { lockDataDir } from '../../node-agent/host/data-dir-lock.ts';
import { identifyProcess } from '../../node-agent/runtime/processes.ts';

const root = join(import.meta.dirname, '../..');
const exec = systemExec();
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gantry-agent-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const agent = (...more: string[]): Promise<RunResult> =>
  exec.run([`${root}/node_modules/.bin/node`, `${root}/node-agent/main.ts`, ...more]);
const valid = (): string[] => [
  ...['--node-name', 'node-1', '--server', '192.0.2.1:6443', '--node-ip', '192.0.2.2'],
  ...['--data-dir', dataDir, '--run-dir', `${dataDir}/run`],
];

describe('the command line', () => {
  test.each([
    [['--node-name', 'No Good'], /lower-case/],
    [['--server', 'nowhere:https'], /host:port/],
    [['--node-ip', '1.2.3'], /IPv4/],
    [['--labels', 'x'], /key=value/],
    [['--max-pods', '0'], /whole number/],
    [['--cgroup-parent', 'gantry'], /absolute/],
    [['--log-level', 'loud'], /Allowed choices/],
  ])('%j is refused', async (bad, words) => {
    const result = await agent(...valid(), ...bad);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(words);
  });
});

test('an agent that never joined and has no token says what to do', async () => {
  const result = await agent(...valid());
  expect(result.exitCode).toBe(1);
  expect(result.stderr).toMatch(/has not joined a cluster yet; .*ctl token create/);
});

describe('the data folder', () => {
  test('has one agent at a time', async () => {
    const { pid, startTime } = identifyProcess(process.ppid)!;
    await symlink(`${pid}:${startTime}`, `${dataDir}/agent.lock`);
    const result = await agent(...valid());
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain(`another node agent (pid ${pid}) uses ${dataDir}`);
  });

  test.each(['1:123@another-boot', '4194304:1@x', 'garbage'])('is taken over from a dead one (%s)', async (holder) => {
    await symlink(holder, `${dataDir}/agent.lock`);
    const lock = await lockDataDir(dataDir);
    await expect(lockDataDir(dataDir)).resolves.toBeDefined(); // the same process may ask again
    await lock.release();
    expect((await exec.run(['ls', dataDir])).stdout).toBe('');
  });
});
