/** Fields of a newer schema come out of an older program as they went in. */
import { describe, expect, test } from 'vitest';
import { decodeMessage, decodeObject, encodeMessage, encodeObject, fromEnvelope } from '../../../../lib/model/codec.ts';
import { toManifest } from '../../../../lib/model/manifest.ts';
import { isSame } from '../../../../lib/model/object.ts';
import { kindInfo } from '../../../../lib/model/schema.ts';
import { hasUnknown, newUnknown, withUnknownOf } from '../../../../lib/model/unknown.ts';
import type { ObjectEnvelope, Pod } from '../../../../proto/gen/types.ts';
import { newerBytes, newerRead } from '../../../newer-schema.ts';

const newerPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', uid: 'u', labels: { app: 'p' }, origin: 'tomorrow' },
  spec: {
    nest: { depth: 3, name: 'deep' },
    containers: [
      { name: 'a', image: 'a:1', flavour: 'sweet', lifecycle: { stopSignal: 'SIGQUIT' } },
      { name: 'b', image: 'b:1' },
    ],
    volumes: [{ name: 'data', cloud: { depth: 1 } }],
    tolerations: [
      { key: 'x', operator: 'Exists' },
      { key: 'y', operator: 'Exists', patience: 7 },
    ],
  },
  status: { phase: 'Running', mood: 'fine' },
};
const { type } = kindInfo('Pod');
const read = (pod: Pod): typeof newerPod => newerRead('Pod', encodeObject(pod));
const decoded = (): Pod => decodeObject('Pod', newerBytes('Pod', newerPod), 7n);

describe('unknown fields', () => {
  test('survive decoding and encoding, and copies by spread, at every depth', () => {
    const pod = decoded();
    expect(read(pod)).toEqual(newerPod);
    const { nodeName: _none, ...spec } = pod.spec;
    const bound: Pod = { ...pod, spec: { ...spec, nodeName: 'n1' }, status: { ...pod.status, podIP: '10.42.0.2' } };
    expect(read(bound)).toEqual({
      ...newerPod,
      spec: { ...newerPod.spec, nodeName: 'n1' },
      status: { ...newerPod.status, podIP: '10.42.0.2' },
    });
  });

  test('are not seen by what goes by names', () => {
    const known = decodeObject('Pod', encodeObject(JSON.parse(JSON.stringify(decoded()))), 7n);
    expect(isSame(decoded(), known)).toBe(true);
    expect(JSON.stringify(toManifest(decoded()))).not.toMatch(/tomorrow|flavour|SIGQUIT/);
    expect(Object.keys(decoded())).toEqual(Object.keys(known));
    expect([hasUnknown(decoded()), hasUnknown(known)]).toEqual([true, false]);
  });

  test('are given to what was built anew, wherever both have the message', () => {
    const pod = decoded();
    const rebuilt: Pod = JSON.parse(JSON.stringify(pod));
    rebuilt.spec.containers[0]!.image = 'a:2';
    rebuilt.spec.containers.reverse();
    rebuilt.spec.tolerations!.reverse();
    rebuilt.status = { phase: 'Succeeded' };
    expect(read(withUnknownOf(type, pod, rebuilt))).toEqual({
      ...newerPod,
      spec: {
        ...newerPod.spec,
        containers: [newerPod.spec.containers[1], { ...newerPod.spec.containers[0], image: 'a:2' }],
        tolerations: [...newerPod.spec.tolerations].reverse(),
      },
      status: { phase: 'Succeeded', mood: 'fine' },
    });
    // Nothing is invented for what has gone or was never there.
    const { volumes: _gone, tolerations: _too, ...less } = rebuilt.spec;
    const left = read(
      withUnknownOf(type, pod, { ...rebuilt, spec: { ...less, containers: [rebuilt.spec.containers[0]!] } }),
    );
    expect(left.spec).toEqual({ nest: newerPod.spec.nest, containers: [newerPod.spec.containers[1]] });
    const plain: Pod = JSON.parse(JSON.stringify(pod));
    expect(withUnknownOf(type, plain, rebuilt)).toBe(rebuilt);
  });

  test("the newer writer's value of a field stands, beside others of the older object", () => {
    const changed = decodeObject('Pod', newerBytes('Pod', { ...newerPod, metadata: { name: 'p', origin: 'later' } }));
    expect(read(withUnknownOf(type, decoded(), changed)).metadata).toEqual({ name: 'p', origin: 'later' });
  });

  test('new ones are named by path, those that are stored already are not', () => {
    const pod = decoded();
    expect(newUnknown(type, pod, decoded())).toEqual([]);
    expect(newUnknown(type, pod).map(({ path }) => path)).toEqual([
      'metadata',
      'spec',
      'spec.containers[0]',
      'spec.containers[0].lifecycle',
      'spec.volumes[0]',
      'spec.tolerations[1]',
      'status',
    ]);
    const nested = newerBytes('Pod', { ...newerPod, spec: { ...newerPod.spec, nest: { depth: 4 } } });
    expect(newUnknown(type, decodeObject('Pod', nested), pod)).toEqual([
      { path: 'spec', message: expect.stringMatching(/number 902.*upgrade every control plane first/) },
    ]);
  });

  test('an object of an unknown kind is no object, and comes out as it went in', () => {
    const widget = { widget: { apiVersion: 'v1', kind: 'Widget', metadata: { name: 'w' } } };
    const envelope = decodeMessage<ObjectEnvelope>('ObjectEnvelope', newerBytes('ObjectEnvelope', widget));
    expect(fromEnvelope(envelope)).toBeUndefined();
    expect(newerRead('ObjectEnvelope', encodeMessage('ObjectEnvelope', envelope))).toEqual(widget);
  });
});
