/** A busy agent is not a dead node: a thread beats for it, over real gRPC. A stopped or killed one is, and soon. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bootTimeMs, systemClock } from '../../lib/clock.ts';
import { systemExec } from '../../lib/process.ts';
import { readLease } from '../../node-agent/fencing/lease-file.ts';
import { type Replica, type SessionCluster, startSessionCluster } from './session-cluster.ts';

const leaseMs = 3_000;
let cluster: SessionCluster;
let replica: Replica;
let agent: ChildProcess;
let verdicts: string[];
let folder: string;

beforeEach(async () => {
  cluster = await startSessionCluster({ heartbeatMs: 1_000, leaseMs });
  replica = await cluster.startReplica('a');
  verdicts = [];
  replica.sessions.onLeaseChange((name, verdict) => verdicts.push(`${name} ${verdict}`));
  folder = join(cluster.dataDir, 'busy');
  const { token } = await cluster.tokens.create({ role: 'node' });
  const program = join(import.meta.dirname, 'busy-agent.ts');
  const argv = [process.execPath, program, replica.address, `${cluster.joinPort}`, token, folder];
  agent = systemExec().start(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(agent.stdout!, 'data');
  await expect.poll(() => readLease(`${folder}/fencing`), { timeout: 5_000 }).toBeGreaterThan(0);
});
afterEach(async () => {
  agent.kill('SIGKILL');
  await cluster.stop();
});

test('an agent that gets round to nothing for two leases is not lost, and what it must stop is not due', async () => {
  agent.stdin!.write(`${2 * leaseMs}\n`);
  const done = once(agent.stdout!, 'data');
  let longestSilenceMs = 0;
  const watching = (async () => {
    for (const endMs = systemClock.monotonicMs() + 2 * leaseMs; systemClock.monotonicMs() < endMs; ) {
      longestSilenceMs = Math.max(longestSilenceMs, bootTimeMs() - readLease(`${folder}/fencing`)!);
      await systemClock.sleep(50);
    }
  })();
  await Promise.all([done, watching]);
  expect(verdicts).toEqual([]);
  expect(replica.sessions.nodeLeases().get('busy')?.alive).toBe(true);
  expect(longestSilenceMs).toBeLessThan(leaseMs);
});

test.each(['SIGSTOP', 'SIGKILL'] as const)('an agent under %s is lost after one lease', async (signal) => {
  agent.kill(signal);
  const sinceMs = systemClock.monotonicMs();
  await expect.poll(() => verdicts, { timeout: 3 * leaseMs, interval: 20 }).toEqual(['busy lost']);
  const lostAfterMs = systemClock.monotonicMs() - sinceMs;
  expect(lostAfterMs).toBeGreaterThan(leaseMs - 1_500);
  expect(lostAfterMs).toBeLessThan(leaseMs + 2_000);
});
