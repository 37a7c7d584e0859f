/** What pods use, from counters, and when it is reported. */
import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import type { Log } from '../../../../lib/log.ts';
import { busyNanos } from '../../../../node-agent/host/node-meter.ts';
import type { ContainerStats } from '../../../../node-agent/runtime/runtime.ts';
import { type Reading, usageBetween } from '../../../../node-agent/usage/measure.ts';
import { UsageReporter } from '../../../../node-agent/usage/reporter.ts';
import type { Pod, PodStats } from '../../../../proto/gen/types.ts';

const stats = (id: string, podUid: string, cpuMs: number): ContainerStats => ({
  containerId: id,
  podUid,
  name: id,
  cpuUsageNanos: BigInt(cpuMs) * 1_000_000n,
  memoryBytes: 2 ** 20,
  pids: 2,
});
const podOf = (uid: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `pod-${uid}`, namespace: 'shop', uid },
  spec: { containers: [] },
});
const reading = (atMs: number, ...all: ContainerStats[]): Reading => ({
  atMs,
  containers: new Map(all.map((one) => [one.containerId, one])),
});
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

describe('use between two readings', () => {
  it('is a rate of cpu for each container, and what it holds of memory', () => {
    const before = reading(1_000, stats('a', 'p', 100), stats('b', 'p', 0));
    const after = reading(11_000, stats('a', 'p', 5_100), stats('b', 'p', 1));
    expect(usageBetween(before, after, podOf)).toEqual([
      {
        namespace: 'shop',
        name: 'pod-p',
        uid: 'p',
        windowMs: 10_000,
        containers: [
          { name: 'a', cpuUsageNanos: 5_100_000_000, memoryBytes: 2 ** 20, pids: 2, cpuNanocores: 500_000_000 },
          { name: 'b', cpuUsageNanos: 1_000_000, memoryBytes: 2 ** 20, pids: 2, cpuNanocores: 100_000 },
        ],
      },
    ]);
  });

  it('has no rate for what began meanwhile, and nothing of pods that are unknown', () => {
    const after = reading(2_000, stats('new', 'p', 10), stats('x', 'stranger', 10));
    const usages = usageBetween(reading(1_000), after, (uid) => (uid === 'p' ? podOf(uid) : undefined));
    expect(usages).toHaveLength(1);
    expect(usages[0]?.containers?.[0]).not.toHaveProperty('cpuNanocores');
  });

  it('of a whole machine is what /proc/stat calls busy', () => {
    const line = 'cpu  100 20 30 5000 400 5 5 9 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n';
    expect(busyNanos(line)).toBe(160n * 10_000_000n);
  });
});

describe('the reporter', () => {
  async function start() {
    const clock = virtualClock();
    const sent: { atMs: number; pods: PodStats[] }[] = [];
    let asked: (readonly string[] | undefined)[] = [];
    const runtime = {
      async stats(uids?: readonly string[]) {
        asked.push(uids);
        return (uids ?? []).filter((uid) => uid !== 'late').map((uid) => stats(`c-${uid}`, uid, clock.nowMs() / 2));
      },
    };
    const beganMs = clock.monotonicMs();
    const reporter = new UsageReporter({
      runtime,
      clock,
      log: quiet,
      pod: podOf,
      send: (pods) => void sent.push({ atMs: clock.monotonicMs() - beganMs, pods }),
    });
    const take = () => {
      const seen = asked;
      asked = [];
      return seen;
    };
    return { clock, reporter, sent, take };
  }

  it('reads nothing until pods are wanted, and nothing any more when none are', async () => {
    const { clock, reporter, sent, take } = await start();
    await clock.advance(60_000);
    expect(take()).toEqual([]);
    reporter.want({ podUIDs: ['a'], periodMs: 15_000 });
    await clock.advance(20_000);
    expect(sent.map(({ atMs }) => atMs)).toEqual([63_000, 78_000]);
    expect(sent[1]?.pods[0]).toMatchObject({ uid: 'a', windowMs: 15_000, containers: [{ cpuNanocores: 500_000_000 }] });
    expect(take().every((uids) => uids?.length === 1 && uids[0] === 'a')).toBe(true);
    reporter.want({ podUIDs: [] });
    await clock.advance(60_000);
    expect(take()).toEqual([]);
    expect(sent).toHaveLength(2);
  });

  it('looks for pods that have yet to start often, but not for ever', async () => {
    const { clock, reporter, take } = await start();
    reporter.want({ podUIDs: ['late'], periodMs: 60_000 });
    await clock.advance(59_000);
    expect(take()).toHaveLength(7);
    await clock.advance(60_000);
    expect(take()).toHaveLength(1);
  });

  it('has the first figures of new pods soon, and goes on with those of the old ones', async () => {
    const { clock, reporter, sent } = await start();
    reporter.want({ podUIDs: ['a'], periodMs: 15_000 });
    await clock.advance(10_000);
    reporter.want({ podUIDs: ['a', 'b'], periodMs: 15_000 });
    await clock.advance(4_000);
    expect(sent.at(-1)?.pods.map(({ uid, containers }) => [uid, containers?.[0]?.cpuNanocores])).toEqual([
      ['a', 500_000_000],
      ['b', 500_000_000],
    ]);
  });
});
