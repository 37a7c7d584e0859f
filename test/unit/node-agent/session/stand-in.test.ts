import { describe, expect, test } from 'vitest';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { decodeMessage, encodeMessage } from '../../../../lib/model/codec.ts';
import { decodeSequence, encodeBeat } from '../../../../node-agent/session/heartbeat-bytes.ts';
import { StandIn } from '../../../../node-agent/session/stand-in.ts';

interface Sent {
  readonly address: string;
  readonly atMs: number;
  readonly agentSilentMs: number;
}

function setting() {
  const clock: VirtualClock = virtualClock();
  const sent: Sent[] = [];
  const acknowledged: number[] = [];
  const connections: { readonly address: string; open: boolean; end(): void }[] = [];
  let turns = 0;
  let isAnswered = true;
  const standIn = new StandIn({
    clock,
    turns: () => turns,
    leaseClockMs: () => clock.monotonicMs() + 1_000_000,
    onAcknowledged: (sentAtMs) => acknowledged.push(sentAtMs - 1_000_000),
    open(address, onAck, onEnd) {
      const connection = { address, open: true, end: onEnd };
      connections.push(connection);
      return {
        send({ sequence, agentSilentMs }) {
          sent.push({ address, atMs: clock.monotonicMs(), agentSilentMs });
          if (isAnswered) clock.schedule(10, () => onAck(sequence));
        },
        close() {
          connection.open = false;
        },
      };
    },
  });
  /** The agent is at work for so long. */
  const work = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 500) {
      turns += 1;
      await clock.advance(500);
    }
  };
  const mute = (): void => {
    isAnswered = false;
  };
  return { clock, standIn, sent, acknowledged, connections, work, mute };
}
const target = { address: 'cp:6443', heartbeatMs: 1_000 };

describe('the stand-in', () => {
  test('does nothing while the agent is at work, nor without a session', async () => {
    const { clock, standIn, sent, connections, work } = setting();
    await clock.advance(10_000);
    standIn.target = target;
    await work(20_000);
    standIn.target = undefined;
    await clock.advance(10_000);
    expect([sent, connections]).toEqual([[], []]);
  });

  test('beats at the rate of the session while the agent is silent, and says for how long', async () => {
    const { clock, standIn, sent, acknowledged, connections, work } = setting();
    standIn.target = target;
    await work(1_000);
    await clock.advance(5_000);
    expect(sent[0]!.atMs).toBeLessThanOrEqual(1_000 + 1_250);
    expect(sent.length).toBeGreaterThanOrEqual(4);
    for (const [index, { atMs, agentSilentMs }] of sent.entries()) {
      expect(agentSilentMs).toBeGreaterThanOrEqual(1_000);
      if (index > 0) expect(atMs - sent[index - 1]!.atMs).toBe(1_000);
    }
    expect(acknowledged).toEqual(sent.map(({ atMs }) => atMs));
    expect(connections).toHaveLength(1);
    const before = sent.length;
    await work(59_000);
    expect(sent).toHaveLength(before);
    expect(connections[0]!.open).toBe(true);
    await work(5_000);
    expect(connections[0]!.open).toBe(false);
  });

  test('does not count the time in which the whole process stood still, and beats all the same', async () => {
    const { clock, standIn, sent } = setting();
    standIn.target = target;
    await clock.advance(900);
    const { monotonicMs } = clock;
    Object.assign(clock, { monotonicMs: () => monotonicMs() + 120_000 });
    await clock.advance(2_000);
    expect(sent.length).toBeGreaterThan(0);
    for (const { agentSilentMs } of sent) expect(agentSilentMs).toBeLessThan(4_000);
  });

  test('connects again when the connection ends, and elsewhere when the session is elsewhere', async () => {
    const { clock, standIn, sent, connections } = setting();
    standIn.target = target;
    await clock.advance(3_000);
    connections[0]!.end();
    await clock.advance(1_000);
    expect(connections).toHaveLength(2);
    standIn.target = { ...target, address: 'other:6443' };
    await clock.advance(1_000);
    expect(connections.map(({ open }) => open)).toEqual([false, false, true]);
    expect(sent.at(-1)?.address).toBe('other:6443');
    standIn.stop();
    const before = sent.length;
    await clock.advance(10_000);
    expect(sent).toHaveLength(before);
  });

  test('takes nothing for acknowledged that was not', async () => {
    const { clock, standIn, sent, acknowledged, mute } = setting();
    mute();
    standIn.target = target;
    await clock.advance(5_000);
    expect(sent.length).toBeGreaterThan(2);
    expect(acknowledged).toEqual([]);
  });
});

test.each([
  [0, 0],
  [1, 1_000],
  [127, 128],
  [300, 60_000],
  [2 ** 31, 2 ** 40],
])('heartbeat %d, %d ms is the bytes that the schema says', (sequence, agentSilentMs) => {
  const bytes = encodeBeat({ sequence, agentSilentMs });
  expect(decodeMessage('Heartbeat', bytes)).toMatchObject({ sequence, agentSilentMs });
  expect(decodeSequence(encodeMessage('Heartbeat', { sequence, agentSilentMs: 5 }))).toBe(sequence);
});
