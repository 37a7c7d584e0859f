import { expect, it } from 'vitest';
import { decodeObject, encodeObject } from '../../../../lib/model/codec.ts';
import { shared } from '../../../../lib/model/shared-messages.ts';
import type { Pod } from '../../../../proto/gen/types.ts';

function pod(name: string, changes: { readonly app?: string; readonly since?: string } = {}): Pod {
  const { app = 'web', since = '2026-01-01T00:00:00Z' } = changes;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app } },
    spec: { containers: [{ name: 'c', image: 'x' }] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: since }] },
  } as Pod;
}

const decoded = (given: Pod): Pod => decodeObject('Pod', encodeObject(given));

it('replicas share what is the same in them, and nothing else', () => {
  const [one, two, other] = [pod('a'), pod('b'), pod('c', { app: 'db', since: '2026-01-01T00:00:01Z' })].map(decoded);
  expect(two).toEqual(pod('b'));
  expect(other).toEqual(pod('c', { app: 'db', since: '2026-01-01T00:00:01Z' }));
  expect(two!.metadata.labels).toBe(one!.metadata.labels);
  expect(two!.status!.conditions![0]).toBe(one!.status!.conditions![0]);
  expect(two!.metadata).not.toBe(one!.metadata);
  expect(two!.status!.conditions).not.toBe(one!.status!.conditions);
});

it('what is shared cannot be changed under the others', () => {
  const { labels } = decoded(pod('a')).metadata;
  expect(() => {
    labels!.app = 'other';
  }).toThrow(TypeError);
});

it('tells apart what only looks alike, and leaves messages in messages alone', () => {
  const message = (fields: object): object => shared({ ...fields });
  expect(message({ a: 'true' })).not.toBe(message({ a: true }));
  expect(message({ a: '1', b: '2' })).not.toBe(message({ a: '1\u0000b\u0000s2' }));
  expect(message({ a: 'x' })).toBe(message({ a: 'x' }));
  const unknown = Symbol('unknown');
  expect(Object.isFrozen(message({ a: 'x', [unknown]: [] }))).toBe(false);
  expect(Object.isFrozen(message({ a: { b: 'c' } }))).toBe(false);
});
