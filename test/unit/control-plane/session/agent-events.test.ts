import { describe, expect, test } from 'vitest';
import { sweepEvents } from '../../../../control-plane/controllers/events/controller.ts';
import { acceptEvent } from '../../../../control-plane/session/agent-events.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { timestamp } from '../../../../lib/clock.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { Event, KubeObject, Node, ObjectReference, Pod } from '../../../../proto/gen/types.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');
const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', uid: 'uid-n1' }, spec: {} };
const pod = (name: string, nodeName: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: `uid-${name}` },
  spec: { nodeName, containers: [{ name: 'main', image: 'echo' }] },
});

function stateOf(...objects: KubeObject[]): MutableClusterState {
  const state = new MutableClusterState();
  state.replace(
    objects.map((object) => ({ key: keyOf(object), object })),
    1n,
  );
  return state;
}

const state = stateOf(node, pod('mine', 'n1'), pod('theirs', 'n2'));
const eventAbout = (involvedObject: ObjectReference, rest: Partial<Event> = {}): Event => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'chosen', namespace: 'elsewhere' },
  involvedObject,
  reason: 'Pulled',
  message: 'Pulled the image',
  ...rest,
});
const accepted = (event: Event) => acceptEvent(event, 'n1', state, nowMs);
const mine = { kind: 'Pod', namespace: 'shop', name: 'mine', uid: 'uid-mine' };

describe('an event of an agent', () => {
  test('is named and dated by us, and lives where its object does', () => {
    const event = accepted(eventAbout({ ...mine, fieldPath: 'spec.containers{main}' }))!;
    expect(event.metadata).toEqual({ name: expect.stringMatching(/^mine\.[0-9a-f]{16}$/), namespace: 'shop' });
    expect(event.involvedObject).toEqual({ apiVersion: 'v1', ...mine, fieldPath: 'spec.containers{main}' });
    expect(event).toMatchObject({ type: 'Normal', count: 1, source: { host: 'n1' }, lastTimestamp: timestamp(nowMs) });
  });

  test.each([
    ['a pod of another node', { ...mine, name: 'theirs', uid: 'uid-theirs' }],
    ['a pod that had the name before', { ...mine, uid: 'former' }],
    ['another node', { kind: 'Node', name: 'n2' }],
    ['a Secret', { kind: 'Secret', namespace: 'shop', name: 'mine' }],
  ])('about %s is nobody’s news', (_what, about) => {
    expect(accepted(eventAbout(about))).toBeUndefined();
  });

  test('about its node cannot choose the key it is stored under', () => {
    const event = accepted(eventAbout({ kind: 'Node', name: 'n1', namespace: 'x/../y z', uid: 'any' }))!;
    expect(keyOf(event)).toMatch(/^\/gantry\/events\/default\/n1\.[0-9a-f]{16}$/);
    expect(event.involvedObject.uid).toBe('uid-n1');
  });

  test('keeps what a node may say within bounds', () => {
    const event = accepted(eventAbout(mine, { reason: 'R'.repeat(9999), message: 'm'.repeat(9999) }))!;
    expect([event.reason!.length, event.message!.length]).toEqual([128, 1024]);
  });

  test('is not from the future, and its past is kept', () => {
    const times = (firstTimestamp: string, lastTimestamp: string) => {
      const event = accepted(eventAbout(mine, { firstTimestamp, lastTimestamp }))!;
      return [event.firstTimestamp, event.lastTimestamp];
    };
    expect(times('2026-01-01T00:10:00Z', '2036-01-01T00:00:00Z')).toEqual(['2026-01-01T00:10:00Z', timestamp(nowMs)]);
    expect(times('yesterday', '2026-01-01T00:59:00Z')).toEqual([timestamp(nowMs), '2026-01-01T00:59:00Z']);
  });
});

test('events go after an hour, also one that a client dated in the future', () => {
  const hourAgo = timestamp(nowMs - 3_600_000);
  const stored = (name: string, lastTimestamp: string, creationTimestamp: string): Event => ({
    ...eventAbout(mine, { lastTimestamp }),
    metadata: { name, namespace: 'shop', creationTimestamp, resourceVersion: '1' },
  });
  const events = [
    stored('old', hourAgo, hourAgo),
    stored('repeated', timestamp(nowMs - 60_000), hourAgo),
    stored('future', '2099-01-01T00:00:00Z', hourAgo),
    stored('new-future', '2099-01-01T00:00:00Z', timestamp(nowMs)),
  ];
  const { changes } = sweepEvents(stateOf(...events), nowMs);
  expect(changes.map(({ object }) => object.metadata.name)).toEqual(['old', 'future']);
});
