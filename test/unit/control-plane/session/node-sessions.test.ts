/** A term of node sessions on a virtual clock, with a mirror that shows what the test lets it show. */
import { describe, expect, test } from 'vitest';
import { createEventRecorder } from '../../../../control-plane/events/recorder.ts';
import { createNodeSessions, type NodeSessions } from '../../../../control-plane/session/node-sessions.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { plainCodec } from '../../../../control-plane/state/object-codec.ts';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { conditionStatus } from '../../../../lib/model/conditions.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore } from '../../../../lib/store/memory.ts';
import { createRevisionIs, deleteOf, putOf } from '../../../../lib/store/store.ts';
import type { Node, SessionUp } from '../../../../proto/gen/types.ts';

const leaseMs = 3_000;
const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', uid: 'uid-n1' }, spec: {} };

interface Stage {
  lead(): void;
  readonly clock: VirtualClock;
  readonly sessions: NodeSessions;
  /** The mirror catches up with the store. */
  show(): Promise<void>;
  /** The mirror sees the node go, as it had it. */
  forget(): void;
  /** Of the store; undefined: it is deleted. */
  put(stored: Node | undefined): Promise<void>;
  /** Of the term. */
  leads: boolean;
  ready(): Promise<string | undefined>;
  isAlive(): boolean | undefined;
}

/** The node is in the store; `shown`: the mirror knows of it. */
async function stage(shown: boolean, leads = true, drainInbox?: () => Promise<void>): Promise<Stage> {
  const clock = virtualClock();
  const store = createMemoryStore({ clock });
  const state = new MutableClusterState();
  const random = seededRandom(1);
  const transact = (key: string, value: Uint8Array) => store.transact({ compare: [], success: [putOf(key, value)] });
  const { revision } = await transact('/gantry/leader', new Uint8Array());
  await transact(keyOf(node), plainCodec.encode(node));
  const show = async (): Promise<void> => {
    const { items, revision: now } = await store.list('/gantry/nodes/');
    const gone = state
      .list('Node')
      .map(keyOf)
      .filter((key) => !items.some((item) => item.key === key));
    const found = items.map(({ key, value, modRevision }) => {
      const object = plainCodec.decode(key, value, modRevision);
      return { key, ...(object && { object }) };
    });
    state.apply([...gone.map((key) => ({ key })), ...found], now);
  };
  state.replace([], 1n);
  if (shown) await show();
  const sessions = createNodeSessions({
    store,
    codec: plainCodec,
    state,
    events: createEventRecorder({ store, clock, random, log: silentLog }),
    clock,
    random,
    log: silentLog,
    config: {
      heartbeatMs: 1_000,
      leaseMs,
      clusterCIDR: '10.42.0.0/16',
      serviceCIDR: '10.43.0.0/16',
      dnsIP: '10.43.0.10',
      zone: 'cluster.local',
    },
    leaderAddress: () => undefined,
    isSole: () => true,
    ...(drainInbox && { drainInbox }),
  });
  const lead = (): void =>
    sessions.lead({
      key: '/gantry/leader',
      createRevision: revision,
      fence: createRevisionIs('/gantry/leader', revision),
      isHeld: () => here.leads,
      signal: new AbortController().signal,
    });
  const here: Stage = {
    leads: true,
    lead,
    forget: () => state.apply([{ key: keyOf(node) }], state.revision),
    async put(stored) {
      const key = keyOf(stored ?? node);
      if (stored) await transact(key, plainCodec.encode(stored));
      else await store.transact({ compare: [], success: [deleteOf(key)] });
    },
    clock,
    sessions,
    show,
    async ready() {
      const { kv } = await store.get(keyOf(node));
      const stored = kv && (plainCodec.decode(kv.key, kv.value, kv.modRevision) as Node);
      return conditionStatus(stored?.status?.conditions, 'Ready');
    },
    isAlive: () => sessions.nodeLeases().get('n1')?.alive,
  };
  if (leads) lead();
  return here;
}

interface Visit {
  leave(): void;
  /** What the answer said beside its error. */
  readonly trailers: Record<string, string>;
  /** How it ended. */
  error: unknown;
}

/** An agent that says hello and then nothing, or heartbeats. */
function agent({ clock, sessions }: Stage, heartbeats: boolean | (() => boolean)): Visit {
  const leaving = new AbortController();
  const { signal } = leaving;
  async function* requests(): AsyncGenerator<SessionUp> {
    yield { hello: { node, podUIDs: [] } };
    while (!signal.aborted) {
      await clock.sleep(1_000);
      if (typeof heartbeats === 'boolean' ? heartbeats : heartbeats()) yield { heartbeat: {} };
    }
  }
  const peer = { commonName: 'node:n1', organization: 'node', address: '10.0.0.1:1' };
  const run = async (): Promise<void> => {
    const setTrailer = (key: string, value: string): void => void Object.assign(visit.trailers, { [key]: value });
    for await (const _message of sessions.session(requests(), { peer, signal, setTrailer })) if (signal.aborted) return;
  };
  const visit: Visit = { leave: () => leaving.abort(new Error('the agent is gone')), trailers: {}, error: undefined };
  run().catch((error: unknown) => {
    visit.error = error;
  });
  return visit;
}

describe('a node says hello', () => {
  test('to a replica that is alone and does not lead yet, and is greeted when it does', async () => {
    const here = await stage(true, false);
    agent(here, true);
    await here.clock.advance(2_000);
    expect(here.isAlive()).toBeUndefined();
    here.lead();
    await here.clock.advance(100);
    expect(await here.ready()).toBe('True');
  });

  test('and has its lease and becomes Ready, though the mirror does not show it yet', async () => {
    const here = await stage(false);
    agent(here, true);
    await here.clock.advance(100);
    expect(here.isAlive()).toBe(true);
    await here.show();
    await here.clock.advance(100);
    expect(await here.ready()).toBe('True');
  });

  test('again and again, and hears nobody: it is lost, and stays so', async () => {
    const here = await stage(true);
    agent(here, true);
    await here.clock.advance(500);
    expect(await here.ready()).toBe('True');
    await here.show();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const { leave } = agent(here, false);
      await here.clock.advance(500);
      await here.show();
      leave();
      await here.clock.advance(10);
      if (attempt >= 10) expect(here.isAlive()).toBe(false);
    }
    expect(await here.ready()).toBe('Unknown');
  });
});

describe('a node is silent', () => {
  test('and is not lost before what waits on its way to us has been taken in', async () => {
    let drained = Promise.withResolvers<void>();
    const here = await stage(true, true, () => drained.promise);
    let speaks = true;
    agent(here, () => speaks);
    await here.clock.advance(2_500);
    speaks = false;
    await here.clock.advance(3 * leaseMs);
    expect(here.isAlive()).toBe(true);
    // It has spoken after all.
    speaks = true;
    await here.clock.advance(1_000);
    drained.resolve();
    drained = Promise.withResolvers();
    await here.clock.advance(500);
    expect(here.isAlive()).toBe(true);
    speaks = false;
    await here.clock.advance(3 * leaseMs);
    drained.resolve();
    await here.clock.advance(500);
    expect(here.isAlive()).toBe(false);
  });
});

describe('a node is deleted', () => {
  const trailer = 'gantry-node-deleted';

  test('while it is in session: that is certain, and its agent is told', async () => {
    const here = await stage(true);
    const visit = agent(here, true);
    await here.clock.advance(100);
    await here.show();
    await here.put(undefined);
    await here.clock.advance(100);
    expect(visit.error).toBeUndefined();
    await here.show();
    await here.clock.advance(100);
    expect(visit.error).toMatchObject({ code: 'permissionDenied', message: expect.stringContaining('was deleted') });
    expect(Number(visit.trailers[trailer])).toBeGreaterThan(0);
    expect(here.isAlive()).toBeUndefined();
  });

  test('before it says hello, though the mirror still shows it: the store itself is asked', async () => {
    const here = await stage(true);
    await here.put(undefined);
    const visit = agent(here, true);
    await here.clock.advance(3_000);
    expect(visit.error).toMatchObject({ code: 'permissionDenied' });
    expect(Number(visit.trailers[trailer])).toBeGreaterThan(0);
  });

  test('and joins again before the mirror shows the deletion: that is of another node than its session', async () => {
    const here = await stage(true);
    await here.put({ ...node, metadata: { name: 'n1', uid: 'uid-again' } });
    const visit = agent(here, true);
    await here.clock.advance(100);
    expect(visit.error).toBeUndefined();
    here.forget();
    await here.clock.advance(3_000);
    expect(visit.error).toMatchObject({ code: 'permissionDenied' });
    expect(visit.trailers).toEqual({});
    await here.show();
    const next = agent(here, true);
    await here.clock.advance(100);
    expect(next.error).toBeUndefined();
    expect(await here.ready()).toBe('True');
  });

  test('says nobody for certain who does not lead any more', async () => {
    const here = await stage(true);
    const visit = agent(here, true);
    await here.clock.advance(100);
    await here.show();
    await here.put(undefined);
    here.leads = false;
    await here.show();
    await here.clock.advance(100);
    expect(visit.error).toMatchObject({ code: 'failedPrecondition' });
    expect(visit.trailers).toEqual({});
  });
});
