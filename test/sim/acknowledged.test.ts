/** What users wrote may be deleted unasked only with owners that were deleted and let it go, with its namespace, or when it is over. */
import { describe, expect, test } from 'vitest';
import { keyOf } from '../../lib/model/keys.ts';
import type { KubeObject, ObjectMeta } from '../../proto/gen/types.ts';
import { AcknowledgedWrites } from './acknowledged.ts';
import type { Writer } from './store.ts';
import type { Change } from './store-checker.ts';

const labels = { app: 'web' };
const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'web:1' }] } };
const spec = { selector: { matchLabels: labels }, template };
const written = { 'sim/u1': '1' };
const going = { deletionTimestamp: '2026-01-01T00:00:00Z' };

const deployment = (metadata: Partial<ObjectMeta> = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', uid: 'deployment', ...metadata },
  spec,
});
const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'deployment', controller: true };
const set = (replicas: number, metadata: Partial<ObjectMeta> = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: {
    name: 'web-1',
    namespace: 'default',
    uid: 'set',
    annotations: written,
    ownerReferences: [owner],
    ...metadata,
  },
  spec: { ...spec, replicas },
});
const job = (metadata: Partial<ObjectMeta>, isOver: boolean, ttl?: number): KubeObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'once', namespace: 'default', uid: 'job', annotations: written, ...metadata },
  spec: { template, ...(ttl !== undefined && { ttlSecondsAfterFinished: ttl }) },
  status: { conditions: isOver ? [{ type: 'Complete', status: 'True' }] : [] },
});
const namespace = (metadata: Partial<ObjectMeta> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'default', uid: 'namespace', ...metadata },
});

interface Step {
  readonly object?: KubeObject;
  readonly previous?: KubeObject;
}

/** Of what was said about the last of these, each in a revision of its own; the first objects are there already. */
function judge(first: readonly KubeObject[], steps: readonly Step[], operation?: string): number {
  const objects = new Map([namespace(), ...first].map((object) => [keyOf(object), object]));
  const log: Change[][] = [[]];
  const reports: string[] = [];
  const writes = new AcknowledgedWrites({ log, objects }, (_invariant, message) => void reports.push(message));
  const asChange = ({ object, previous }: Step): Change => ({
    revision: BigInt(log.length),
    key: keyOf((object ?? previous)!),
    object,
    previous,
  });
  log.push(first.map((object) => asChange({ object })));
  for (const object of first.filter(({ metadata }) => metadata.annotations)) {
    const acknowledged = { ...object, metadata: { ...object.metadata, resourceVersion: '1' } } as KubeObject;
    writes.acknowledge(acknowledged, keyOf(object), 'u1', 1);
  }
  const writer = { process: { name: 'cp1' }, operation, known: 0n } as Writer;
  for (const step of steps) {
    const change = asChange(step);
    if (change.object) objects.set(change.key, change.object);
    else objects.delete(change.key);
    log.push([change]);
    writes.applied([change], writer);
  }
  return reports.length;
}

const removed = (previous: KubeObject): Step => ({ previous });
const changed = (previous: KubeObject, object: KubeObject): Step => ({ previous, object });

describe('what a user wrote', () => {
  test('is not deleted by anybody else; being marked is being deleted', () => {
    const own = set(1, { ownerReferences: [] });
    expect(judge([own], [removed(own)])).toBe(1);
    expect(judge([own], [changed(own, set(1, { ownerReferences: [], ...going }))])).toBe(1);
    expect(judge([own], [removed(own)], 'u1 delete ReplicaSet default/web-1 (4)')).toBe(0);
    expect(judge([own], [removed(own)], 'u1 delete ReplicaSet default/web-12 (4)')).toBe(1);
    expect(judge([own], [removed(own)], 'u1 delete Deployment default/web (Orphan) (4)')).toBe(1);
  });

  test('stays while its owner does, but for a former revision without pods', () => {
    expect(judge([deployment(), set(1)], [removed(set(1))])).toBe(1);
    expect(judge([deployment(going), set(1)], [removed(set(1))])).toBe(1);
    expect(judge([deployment(), set(0)], [removed(set(0))])).toBe(0);
  });

  test('goes with an owner that was deleted, after it or before it', () => {
    expect(judge([deployment(), set(1)], [removed(deployment()), removed(set(1))])).toBe(0);
    const waiting = deployment({ ...going, finalizers: ['foregroundDeletion'] });
    expect(judge([waiting, set(1)], [removed(set(1))])).toBe(0);
  });

  test('stays when its owner was to leave it behind, and with an owner that never was', () => {
    const leaving = deployment({ ...going, finalizers: ['orphan'] });
    const steps = [changed(deployment(), leaving), removed(leaving), removed(set(1))];
    expect(judge([deployment(), set(1)], steps)).toBe(1);
    expect(judge([set(1)], [removed(set(1))])).toBe(1);
    const both = set(1, { ownerReferences: [owner, { ...owner, name: 'other', uid: 'other' }] });
    expect(
      judge([deployment(), deployment({ name: 'other', uid: 'other' }), both], [removed(deployment()), removed(both)]),
    ).toBe(1);
  });

  test('goes with its namespace, and a Job when its time is over', () => {
    const own = job({}, false);
    expect(judge([own], [changed(namespace(), namespace(going)), removed(own)])).toBe(0);
    for (const [isOver, ttl, reports] of [
      [true, 5, 0],
      [false, 5, 1],
      [true, undefined, 1],
    ] as const) {
      const one = job({}, isOver, ttl);
      expect(judge([one], [removed(one)])).toBe(reports);
    }
  });
});
