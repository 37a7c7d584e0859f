import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { GantryError } from '../../../../lib/errors.ts';
import { silentLog } from '../../../../lib/log.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { RpcError } from '../../../../lib/rpc/status.ts';
import { createSessionClient, type SessionClient } from '../../../../node-agent/session/session-client.ts';
import type { SliceStore } from '../../../../node-agent/session/slice-store.ts';
import type { SessionDown, SessionUp, Slice } from '../../../../proto/gen/types.ts';

/** A control plane in a test's hand. */
class FakeServer {
  readonly dialed: { readonly address: string; readonly atMs: number }[] = [];
  readonly received: SessionUp[] = [];
  /** Thrown to whoever dials. */
  refusal: unknown;
  answersHello = true;
  acknowledges = true;
  #send: (message: SessionDown | Error) => void = () => {};

  constructor(clock: VirtualClock) {
    this.open = this.open.bind(this);
    this.#clock = clock;
  }

  readonly #clock: VirtualClock;

  send(message: SessionDown | Error): void {
    this.#send(message);
  }

  async *open(address: string, requests: AsyncIterable<SessionUp>, signal: AbortSignal): AsyncGenerator<SessionDown> {
    this.dialed.push({ address, atMs: this.#clock.monotonicMs() });
    if (this.refusal) throw this.refusal;
    const queue: (SessionDown | Error)[] = [];
    let wake = (): void => {};
    this.#send = (message) => {
      queue.push(message);
      wake();
    };
    signal.addEventListener('abort', () => this.#send(signal.reason));
    void this.#read(requests);
    for (;;) {
      const next = queue.shift();
      if (next instanceof Error) throw next;
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async #read(requests: AsyncIterable<SessionUp>): Promise<void> {
    for await (const message of requests) {
      this.received.push(message);
      if (message.hello && this.answersHello) this.send({ welcome: { heartbeatMs: 1_000, leaseMs: 3_000 } });
      if (message.heartbeat && this.acknowledges) this.send({ heartbeatAck: message.heartbeat });
      if (message.status && this.acknowledges) this.send({ statusAck: { sequence: message.status.sequence! } });
    }
  }
}

let clock: VirtualClock;
let server: FakeServer;
let client: SessionClient;
let slices: Slice[];
let deletedAt: string[];
let stop: AbortController;

beforeEach(() => {
  clock = virtualClock();
  server = new FakeServer(clock);
  slices = [];
  deletedAt = [];
  stop = new AbortController();
  client = clientOf(['a:1', 'b:1']);
});
afterEach(() => stop.abort(new Error('over')));

function clientOf(servers: readonly string[]): SessionClient {
  const slice = { apply: (message: Slice) => slices.push(message) } as unknown as SliceStore;
  return createSessionClient({
    servers,
    transport: server,
    slice,
    node: () => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} }),
    podUIDs: () => ['p1'],
    onNodeDeleted: (revision) => deletedAt.push(revision),
    clock,
    random: seededRandom(7),
    log: silentLog,
  });
}

const heartbeats = (): number[] => server.received.flatMap(({ heartbeat }) => heartbeat?.sequence ?? []);
const addresses = (): string[] => server.dialed.map(({ address }) => address);

describe('a session', () => {
  test('begins with hello, beats at the rate it is told, and knows since when it is known', async () => {
    void client.run(stop.signal);
    await clock.advance(2_500);
    expect(server.received[0]?.hello).toMatchObject({ podUIDs: ['p1'], node: { metadata: { name: 'n1' } } });
    expect(heartbeats()).toEqual([1, 2, 3]);
    expect(client.connected).toBe(true);
    expect(client.lastAckMs).toBe(2_000);
  });

  test('beats less often from when it is asked to', async () => {
    void client.run(stop.signal);
    await clock.advance(500);
    server.send({ heartbeatAck: { sequence: 1, heartbeatMs: 1_350 } });
    await clock.advance(499);
    expect(heartbeats()).toEqual([1]);
    await clock.advance(1 + 1_349);
    expect(heartbeats()).toEqual([1, 2]);
    await clock.advance(1);
    expect(heartbeats()).toEqual([1, 2, 3]);
  });

  test('counts from when the acknowledged heartbeat was sent, not from when it was acknowledged', async () => {
    server.acknowledges = false;
    void client.run(stop.signal);
    await clock.advance(2_500);
    expect(client.lastAckMs).toBeUndefined();
    server.send({ heartbeatAck: { sequence: 2 } });
    await clock.settle();
    expect(client.lastAckMs).toBe(1_000);
  });

  test('reports a burst in one batch, and again after a reconnect until it is acknowledged', async () => {
    void client.run(stop.signal);
    await clock.settle();
    server.acknowledges = false;
    for (const name of ['a', 'b']) client.pod({ namespace: 'default', name, uid: name }, { phase: 'Running' });
    await clock.advance(10);
    const batches = () => server.received.flatMap(({ status }) => status?.pods?.map(({ name }) => name).join() ?? []);
    expect(batches()).toEqual(['a,b']);
    server.acknowledges = true;
    server.send(new GantryError('unavailable', 'cut'));
    await clock.advance(500);
    expect(batches()).toEqual(['a,b', 'a,b']);
  });

  test('tells that its node was deleted when the leader says so, and never when somebody only refuses', async () => {
    void client.run(stop.signal);
    await clock.settle();
    const refusal = (trailer: Record<string, string>): RpcError => {
      const error = Object.assign(new Error('no'), { code: 7, details: 'node n1 is not part of the cluster' });
      return Object.assign(new RpcError(error as never), { trailer });
    };
    server.send(refusal({}));
    await clock.advance(3_000);
    server.send(new GantryError('permissionDenied', 'node n1 is not part of the cluster'));
    await clock.advance(3_000);
    expect(deletedAt).toEqual([]);
    const dials = server.dialed.length;
    server.send(refusal({ 'gantry-node-deleted': '42' }));
    await clock.advance(3_000);
    expect(deletedAt).toEqual(['42']);
    expect(server.dialed.length).toBeGreaterThan(dials); // and asks on
  });

  test('hands on slices', async () => {
    void client.run(stop.signal);
    await clock.settle();
    server.send({ slice: { complete: true, revision: '7' } });
    await clock.settle();
    expect(slices).toEqual([{ complete: true, revision: '7' }]);
  });

  test('says how far it had read of what all nodes see, until it is told everything without', async () => {
    void client.run(stop.signal);
    const told: Slice[][] = [
      [{ complete: true, shared: { log: 'x', position: 3 } }],
      [{ complete: false, shared: { log: 'x', position: 4 } }, { complete: false }],
      [{ complete: true }],
      [],
    ];
    for (const messages of told) {
      await clock.advance(1_000);
      for (const slice of messages) server.send({ slice });
      await clock.advance(10);
      server.send(new GantryError('unavailable', 'broken'));
    }
    const positions = server.received.flatMap(({ hello }) => (hello ? [hello.shared?.position] : []));
    expect(positions).toEqual([undefined, 3, 4, undefined]);
  });

  test('is given up when it is silent for a lease, and opened again', async () => {
    void client.run(stop.signal);
    await clock.advance(1_500);
    server.acknowledges = false;
    await clock.advance(2_400);
    expect(addresses()).toEqual(['a:1']);
    await clock.advance(500);
    expect(addresses()).toEqual(['a:1', 'b:1']);
  });

  test('is kept for three leases where there is nobody else to turn to, and for one as soon as there is', async () => {
    client = clientOf(['a:1']);
    void client.run(stop.signal);
    await clock.advance(1_500);
    server.acknowledges = false;
    await clock.advance(8_000);
    expect(client.connected).toBe(true);
    server.acknowledges = true;
    await clock.advance(2_000);
    expect([addresses(), client.lastAckMs! > 10_000]).toEqual([['a:1'], true]);
    server.acknowledges = false;
    await clock.advance(9_500);
    expect(addresses()).toEqual(['a:1', 'a:1']);
    server.acknowledges = true;
    await clock.advance(1_500);
    server.send({ servers: { addresses: ['b:1'] } });
    await clock.advance(1_000);
    server.acknowledges = false;
    await clock.advance(4_500);
    expect(addresses()).toEqual(['a:1', 'a:1', 'b:1']);
  });

  test('is given up when nobody welcomes it', async () => {
    server.answersHello = false;
    void client.run(stop.signal);
    await clock.advance(2_500);
    expect(addresses()).toEqual(['a:1', 'b:1']);
    expect(client.connected).toBe(false);
  });
});

describe('connecting', () => {
  test('goes through the servers, ever slower up to two seconds, and never stops', async () => {
    server.refusal = new GantryError('unavailable', 'nobody there');
    void client.run(stop.signal);
    await clock.advance(60_000);
    const gaps = server.dialed.slice(1).map(({ atMs }, index) => atMs - server.dialed[index]!.atMs);
    expect(addresses().slice(0, 4)).toEqual(['a:1', 'b:1', 'a:1', 'b:1']);
    expect(gaps[0]).toBeLessThanOrEqual(200);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2_000);
    expect(Math.max(...gaps)).toBeGreaterThan(1_000);
    expect(new Set(gaps).size).toBeGreaterThan(10);
    server.refusal = undefined;
    await clock.advance(2_500);
    expect(client.connected).toBe(true);
  });

  test('goes straight to the leader it is told of', async () => {
    server.refusal = notLeading('leader:1');
    void client.run(stop.signal);
    await clock.advance(1);
    expect(addresses().slice(0, 2)).toEqual(['a:1', 'leader:1']);
  });

  test('does not spin between replicas that name each other, and asks often while they elect', async () => {
    server.refusal = notLeading('leader:1');
    void client.run(stop.signal);
    await clock.advance(10_000);
    expect(server.dialed.length).toBeGreaterThan(20);
    expect(server.dialed.length).toBeLessThan(70);
  });

  test('ends with its signal', async () => {
    server.refusal = new GantryError('unavailable', 'nobody there');
    const ended = client.run(stop.signal);
    await clock.advance(300);
    stop.abort(new Error('over'));
    await ended;
    const { length } = server.dialed;
    await clock.advance(10_000);
    expect(server.dialed).toHaveLength(length);
  });
});

function notLeading(leader: string): RpcError {
  const metadata = { get: () => [], getMap: () => ({ 'gantry-leader': leader }) };
  const error = { code: 9, details: 'not the leader', metadata, message: '', name: '' };
  return new RpcError(error as unknown as ConstructorParameters<typeof RpcError>[0]);
}
