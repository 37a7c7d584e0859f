/** Pods whose spec is known by its bytes: the same objects and the same content as by the general codec. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMessage, decodeObject, encodeMessage, encodeObject } from '../../../../lib/model/codec.ts';
import { kindInfo } from '../../../../lib/model/schema.ts';
import type { Pod } from '../../../../proto/gen/types.ts';

const pod = (name: string, spec: Partial<Pod['spec']> = {}, status?: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, labels: { app: 'web' } },
  spec: {
    containers: [{ name: 'main', image: 'busybox:1', resources: { requests: { cpu: '10m' } } }],
    terminationGracePeriodSeconds: 0,
    hostNetwork: false,
    ...spec,
  },
  ...(status && { status }),
});

/** Copies share nothing, so that nothing of them is known. */
const generalBytes = (object: Pod): Uint8Array => kindInfo('Pod').type.encode(structuredClone(object)).finish();
const roundTrip = (object: Pod): Pod => decodeObject('Pod', encodeObject(object));

describe('pods to bytes and back', () => {
  const name = fc.stringMatching(/^[a-zé☃]{1,12}$/);
  const shapes = fc.record({
    name,
    node: fc.option(name, { nil: undefined }),
    image: fc.constantFrom('a:1', 'b:2'),
    priority: fc.option(fc.integer({ min: -5, max: 5 }), { nil: undefined }),
    phase: fc.option(fc.constantFrom('Pending', 'Running'), { nil: undefined }),
  });

  it('says what the general codec says, of any pod, again and again', () => {
    fc.assert(
      fc.property(fc.array(shapes, { maxLength: 6 }), (all) => {
        for (const shape of all) {
          const { node, priority, phase } = shape;
          const made = pod(
            shape.name,
            {
              containers: [{ name: 'main', image: shape.image }],
              ...(node !== undefined && { nodeName: node }),
              ...(priority !== undefined && { priority }),
            },
            phase === undefined ? undefined : { phase: phase as 'Pending' },
          );
          const general = decodeObject('Pod', generalBytes(made));
          expect(general).toEqual(made);
          expect(roundTrip(general)).toEqual(made);
          expect(roundTrip({ ...general, spec: { ...general.spec, nodeName: 'other' } })).toEqual({
            ...made,
            spec: { ...made.spec, nodeName: 'other' },
          });
        }
      }),
    );
  });

  it('replicas share their spec, on whatever node', () => {
    const [a, b] = ['a', 'b'].map((each) => decodeObject('Pod', generalBytes(pod(each, { nodeName: each }))));
    expect(a!.spec.containers).toBe(b!.spec.containers);
    expect([a!.spec.nodeName, b!.spec.nodeName]).toEqual(['a', 'b']);
  });

  it('writes what was changed since it was read', () => {
    const read = roundTrip(pod('a', { priority: 1 }));
    const changed: Pod['spec'][] = [
      { ...read.spec, priority: 2 },
      { ...read.spec, tolerations: [{ operator: 'Exists' }] },
      { ...read.spec, containers: [{ ...read.spec.containers[0]!, image: 'busybox:2' }] },
      (({ priority: _gone, ...rest }) => rest)(read.spec),
    ];
    for (const spec of changed) expect(roundTrip({ ...read, spec }).spec).toEqual(spec);
  });

  it('is for pods in other messages, too', () => {
    const read = decodeObject('Pod', generalBytes(pod('a', { nodeName: 'n1' })));
    const event = { type: 'ADDED', object: { pod: read } };
    const plain = decodeMessage<typeof event>('WatchEvent', encodeMessage('WatchEvent', event));
    expect(plain.object.pod).toEqual(read);
  });

  it('is for whole pods: bytes that end too early are refused as ever', () => {
    const bytes = generalBytes(pod('a'));
    expect(() => decodeObject('Pod', bytes.subarray(0, bytes.length - 3))).toThrow();
  });
});
