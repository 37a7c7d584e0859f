/** What a session sends, and when. */
import { expect, test } from 'vitest';
import { SessionStream } from '../../../../control-plane/session/session-stream.ts';
import { SharedSlice } from '../../../../control-plane/session/shared-slice.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { Outgoing } from '../../../../lib/rpc/outgoing.ts';
import type { SessionDown, SessionUp } from '../../../../proto/gen/types.ts';

function scene() {
  const snapshot = new MutableClusterState();
  const shared = new SharedSlice(snapshot, 'log');
  const outgoing = new Outgoing<SessionDown>();
  const pace = { ms: 1_000 };
  const host = { snapshot, shared, heard: () => true, paceMs: () => pace.ms, writeStatus: async () => {} };
  const hello = { node: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} } } as const;
  const stream = new SessionStream(hello, 'n1', host, outgoing);
  const said: SessionUp[] = [];
  let wake = (): void => {};
  async function* requests(): AsyncGenerator<SessionUp> {
    for (;;) {
      const message = said.shift();
      if (message) yield message;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  void stream.receive(requests());
  const says = async (message: SessionUp): Promise<void> => {
    said.push(message);
    wake();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { stream, outgoing, pace, says };
}

test('nothing is sent before the welcome', async () => {
  const { stream, outgoing, says } = scene();
  await says({ heartbeat: { sequence: 1 } });
  expect(outgoing.next()).toBeUndefined();
  stream.welcome({ heartbeatMs: 1_000 });
  expect(outgoing.next()).toEqual({ welcome: { heartbeatMs: 1_000 } });
  expect(outgoing.next()).toEqual({ heartbeatAck: { sequence: 1 } });
});

test('a new pace is told once, with the next acknowledgement', async () => {
  const { stream, outgoing, pace, says } = scene();
  stream.welcome({ heartbeatMs: 1_000 });
  while (outgoing.next());
  pace.ms = 1_350;
  expect(outgoing.next()).toBeUndefined();
  const acknowledged = async (sequence: number) => {
    await says({ heartbeat: { sequence } });
    return outgoing.next();
  };
  expect(await acknowledged(1)).toEqual({ heartbeatAck: { sequence: 1, heartbeatMs: 1_350 } });
  expect(await acknowledged(2)).toEqual({ heartbeatAck: { sequence: 2 } });
});

test('what has ended sends nothing, and says how it ended', async () => {
  const { stream, outgoing, says } = scene();
  stream.welcome({ heartbeatMs: 1_000 });
  stream.end(new Error('enough'));
  await says({ heartbeat: { sequence: 1 } });
  expect(outgoing.next()).toBeUndefined();
  await expect(stream.over).rejects.toThrow('enough');
});
