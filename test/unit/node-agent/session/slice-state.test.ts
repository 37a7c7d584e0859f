import { describe, expect, test } from 'vitest';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { applySlice, type SliceObjects } from '../../../../node-agent/session/slice-state.ts';
import type { KubeObject, Pod, Slice } from '../../../../proto/gen/types.ts';

let version = 0;
const next = (): string => String(++version);

const pod = (name: string, changes: Partial<Pod> = {}, uid = `uid-${name}`): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid, resourceVersion: next() },
  spec: { containers: [], volumes: [{ name: 'v', configMap: { name: 'settings' } }] },
  ...changes,
});
const settings = (): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'default', resourceVersion: next() },
});
const complete = (...objects: KubeObject[]): Slice => ({ complete: true, objects: objects.map(toEnvelope) });
const difference = (objects: KubeObject[], removed: Slice['removed'] = []): Slice => ({
  complete: false,
  objects: objects.map(toEnvelope),
  removed,
});
const nothing: SliceObjects = new Map();

describe('applying a slice', () => {
  test('a complete one replaces everything and names the pods that were taken away', () => {
    const first = applySlice(nothing, complete(pod('a'), pod('b')));
    expect([...first.change.podUIDs]).toEqual(['uid-a', 'uid-b']);
    const second = applySlice(first.objects, complete(pod('b')));
    expect([...second.objects.keys()]).toEqual(['/gantry/pods/default/b']);
    expect([...second.change.podUIDs]).toEqual(['uid-a']);
  });

  test('a complete one that keeps what all nodes see replaces the rest', () => {
    const service: KubeObject = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's', namespace: 'd' },
      spec: {},
    };
    const before = new Map([service, pod('a'), pod('b')].map((object) => [keyOf(object), object]));
    const { objects, change } = applySlice(before, {
      complete: true,
      keepsShared: true,
      objects: [toEnvelope(pod('b'))],
    });
    expect([...objects.values()].map(({ metadata }) => metadata.name)).toEqual(['s', 'b']);
    expect([...change.kinds]).toEqual(['Pod']);
    expect([...change.podUIDs]).toEqual([pod('a').metadata.uid]);
  });

  test('a difference changes what it names and nothing else', () => {
    const before = applySlice(nothing, complete(pod('a'), pod('b'))).objects;
    const { objects, change } = applySlice(
      before,
      difference([pod('c')], [{ kind: 'Pod', namespace: 'default', name: 'a' }]),
    );
    expect([...objects.keys()]).toEqual(['/gantry/pods/default/b', '/gantry/pods/default/c']);
    expect([...change.podUIDs].sort()).toEqual(['uid-a', 'uid-c']);
    expect(before.size).toBe(2);
  });

  test('a change of status alone is the echo of our own report and touches no pod', () => {
    const a = pod('a');
    const before = applySlice(nothing, complete(a)).objects;
    const echo: Pod = { ...a, metadata: { ...a.metadata, resourceVersion: next() }, status: { phase: 'Running' } };
    const { change } = applySlice(before, difference([echo]));
    expect([...change.kinds]).toEqual(['Pod']);
    expect([...change.podUIDs]).toEqual([]);
    const deleted = { ...echo, metadata: { ...echo.metadata, resourceVersion: next(), deletionTimestamp: 'now' } };
    expect([...applySlice(before, difference([deleted])).change.podUIDs]).toEqual(['uid-a']);
  });

  test('a successor of the same name touches both pods', () => {
    const before = applySlice(nothing, complete(pod('a'))).objects;
    const { change } = applySlice(before, difference([pod('a', {}, 'uid-successor')]));
    expect([...change.podUIDs].sort()).toEqual(['uid-a', 'uid-successor']);
  });

  test('a ConfigMap touches the pods that name it', () => {
    const other = pod('other', { spec: { containers: [] } });
    const before = applySlice(nothing, complete(pod('a'), other)).objects;
    expect([...applySlice(before, difference([settings()])).change.podUIDs]).toEqual(['uid-a']);
  });

  test('the same again changes nothing, and kinds of the future are passed over', () => {
    const a = pod('a');
    const before = applySlice(nothing, complete(a)).objects;
    const { change, objects } = applySlice(before, {
      complete: true,
      objects: [toEnvelope(a), {}],
      removed: [{ kind: 'Gateway', name: 'x' }],
    });
    expect(change.kinds.size + change.podUIDs.size).toBe(0);
    expect(objects.size).toBe(1);
  });
});
