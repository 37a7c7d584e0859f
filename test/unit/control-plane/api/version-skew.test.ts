/** The API of an older replica over objects that a newer one has stored. */
import { describe, expect, test } from 'vitest';
import { followStore } from '../../../../control-plane/state/follow.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { silentLog } from '../../../../lib/log.ts';
import { decodeObject, toEnvelope } from '../../../../lib/model/codec.ts';
import { objectKey } from '../../../../lib/model/keys.ts';
import { putOf } from '../../../../lib/store/store.ts';
import type { Deployment, Pod } from '../../../../proto/gen/types.ts';
import { newerBytes, newerRead } from '../../../newer-schema.ts';
import { admin, createHarness, deploymentManifest, type Harness, manifest } from './harness.ts';

const key = objectKey('Deployment', 'default', 'web');

const newer = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', uid: 'u', generation: 1, origin: 'tomorrow' },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        nest: { depth: 3 },
        containers: [{ name: 'web', image: 'nginx:1', flavour: 'sweet', lifecycle: { stopSignal: 'SIGQUIT' } }],
        volumes: [{ name: 'data', cloud: { depth: 1 } }],
      },
    },
    haste: 9,
  },
  status: { replicas: 1, applause: 5 },
};

async function withNewer(): Promise<Harness> {
  const harness = await createHarness();
  await harness.store.transact({ compare: [], success: [putOf(key, newerBytes('Deployment', newer))] });
  return harness;
}

async function stored({ store }: Harness): Promise<typeof newer> {
  return newerRead('Deployment', (await store.get(key)).kv!.value);
}

/** Everything that is new about it. */
const news = ({ metadata, spec, status }: typeof newer) => {
  const { nest, containers, volumes } = spec.template.spec;
  const [{ flavour, lifecycle }] = containers as [(typeof containers)[0]];
  return [metadata.origin, nest, flavour, lifecycle, volumes, spec.haste, status];
};

describe('an older replica', () => {
  const changes: Record<string, (harness: Harness) => Promise<unknown>> = {
    'a patch': ({ api }) =>
      api.Patch(
        { kind: 'Deployment', name: 'web', patch: '{"metadata":{"labels":{"a":"b"}},"spec":{"paused":true}}' },
        admin,
      ),
    'an apply by somebody who knows nothing of it': (harness) =>
      harness.apply(manifest<Deployment>(deploymentManifest('web', { replicas: 3 }))),
    'two applies, the second of which leaves something out': async (harness) => {
      await harness.apply(manifest<Deployment>(deploymentManifest('web', { replicas: 3, minReadySeconds: 1 })));
      await harness.apply(manifest<Deployment>(deploymentManifest('web', { replicas: 4 })));
    },
    'an update of what was read': async (harness) => {
      const read = await harness.get<Deployment>('Deployment', 'web');
      const object = toEnvelope({ ...read, spec: { ...read.spec, replicas: 2 } });
      await harness.api.Update({ object }, admin);
    },
    'a replacement by a manifest': ({ api }) => {
      const object = manifest<Deployment>(deploymentManifest('web', { replicas: 2 }));
      object.spec.template.spec.volumes = [{ name: 'data' }];
      object.spec.template.spec.containers[0]!.lifecycle = { preStop: { sleep: { seconds: 1 } } };
      return api.Update({ object: toEnvelope(object) }, admin);
    },
    scaling: ({ api }) => api.Scale({ kind: 'Deployment', name: 'web', replicas: 4 }, admin),
  };
  for (const [name, change] of Object.entries(changes)) {
    test(`keeps what it does not know over ${name}`, async () => {
      const harness = await withNewer();
      const before = (await harness.store.get(key)).kv!.modRevision;
      await change(harness);
      expect((await harness.store.get(key)).kv!.modRevision).toBeGreaterThan(before);
      const after = await stored(harness);
      const [origin, nest, flavour, lifecycle, volumes, haste, status] = news(after);
      expect(lifecycle).toMatchObject({ stopSignal: 'SIGQUIT' });
      expect([origin, nest, flavour, { stopSignal: 'SIGQUIT' }, volumes, haste, status]).toEqual(news(newer));
    });
  }

  test('refuses new fields that it does not know, by path, and stores nothing', async () => {
    const harness = await withNewer();
    const wish = { ...newer, spec: { ...newer.spec, haste: 10 } };
    const object = toEnvelope(decodeObject('Deployment', newerBytes('Deployment', wish)));
    await expect(harness.api.Apply({ object }, admin)).rejects.toThrow(
      /spec: has a field \(number 907\) of a newer version/,
    );
    await expect(harness.api.Update({ object }, admin)).rejects.toThrow(/number 907/);
    expect(await stored(harness)).toEqual(newer);
    const pod = {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' } },
      spec: { containers: [{ name: 'a', image: 'a:1', flavour: 'sour' }] },
    };
    const given = toEnvelope(decodeObject('Pod', newerBytes('Pod', pod)));
    await expect(harness.api.Create({ object: given }, admin)).rejects.toThrow(/spec.containers\[0\]: has a field/);
    await expect(harness.get<Pod>('Pod', 'p')).rejects.toThrow('not found');
  });

  test('is not disturbed by objects of a kind that it does not know', async () => {
    const harness = await withNewer();
    const widget = { apiVersion: 'v1', kind: 'Widget', metadata: { name: 'w', namespace: 'default' } };
    const put = putOf('/gantry/widgets/default/w', newerBytes('Widget', widget));
    await harness.store.transact({ compare: [], success: [put] });
    const ending = new AbortController();
    const { store, dependencies } = harness;
    const log = { ...silentLog, error: (fields: object) => expect.fail(JSON.stringify(fields)) };
    const state = followStore({ store, codec: dependencies.codec, clock: systemClock, log, signal: ending.signal });
    await state.whenSynced();
    expect(state.list('Deployment')).toHaveLength(1);
    expect(newerRead('Widget', state.other('/gantry/widgets/default/w')!.value)).toEqual(widget);
    ending.abort();
    await state.finished;
  });
});
