/** Controllers of an older leader over objects that a newer one has stored. */
import { afterEach, expect, test } from 'vitest';
import { encodeObject } from '../../../../lib/model/codec.ts';
import { objectKey } from '../../../../lib/model/keys.ts';
import { putOf } from '../../../../lib/store/store.ts';
import type { ConfigMap } from '../../../../proto/gen/types.ts';
import { newerBytes, newerRead } from '../../../newer-schema.ts';
import { type Cluster, deployment, startCluster } from './cluster.ts';

let cluster: Cluster;
afterEach(() => cluster.stop());

const put = (key: string, value: Uint8Array): Promise<unknown> =>
  cluster.store.transact({ compare: [], success: [putOf(key, value)] });
const newerAt = async (kind: 'Deployment' | 'ReplicaSet' | 'Pod', name: string) =>
  newerRead(kind, (await cluster.store.get(objectKey(kind, 'default', name))).kv!.value);

test('their statuses, ReplicaSets and pods keep what they do not know', async () => {
  cluster = await startCluster();
  const plain = newerRead('Deployment', encodeObject(deployment('web', { replicas: 2 })));
  plain.metadata.uid = 'web-uid';
  plain.metadata.generation = 1;
  plain.spec.template.spec.nest = { depth: 3 };
  plain.spec.template.spec.containers[0].flavour = 'sweet';
  plain.status = { applause: 5 };
  await put(objectKey('Deployment', 'default', 'web'), newerBytes('Deployment', plain));
  await cluster.until(() => cluster.state.get('Deployment', 'default', 'web')?.status?.availableReplicas === 2, 'done');

  const stored = await newerAt('Deployment', 'web');
  expect(stored.status).toMatchObject({ availableReplicas: 2, applause: 5 });
  expect(stored.spec.template).toEqual(plain.spec.template);
  const [replicaSet] = cluster.state.list('ReplicaSet');
  const template = (await newerAt('ReplicaSet', replicaSet!.metadata.name)).spec.template;
  for (const { metadata } of cluster.pods()) {
    const { nest, containers } = (await newerAt('Pod', metadata.name)).spec;
    expect([nest, containers[0].flavour]).toEqual([{ depth: 3 }, 'sweet']);
    expect([template.spec.nest, template.spec.containers[0].flavour]).toEqual([{ depth: 3 }, 'sweet']);
  }
  // And then it is quiet: what is not known is no difference that somebody would write again and again.
  await cluster.clock.advance(2000);
  const before = cluster.state.revision;
  await cluster.clock.advance(30_000);
  expect(cluster.state.revision).toBe(before);
});

test('what belongs to an owner of an unknown kind is left alone, what belongs to a lost one is not', async () => {
  cluster = await startCluster();
  const owned = (name: string, kind: string): ConfigMap => ({
    ...{ apiVersion: 'v1', kind: 'ConfigMap', data: {} },
    metadata: {
      ...{ name, namespace: 'default', uid: `uid-${name}` },
      ownerReferences: [{ apiVersion: 'v1', kind, name: 'w', uid: `uid-of-${kind}` }],
    },
  });
  await put('/gantry/widgets/default/w', newerBytes('Widget', { metadata: { name: 'w', uid: 'uid-of-Widget' } }));
  await cluster.create(owned('kept', 'Widget'), owned('lost', 'Deployment'));
  await cluster.until(() => !cluster.state.get('ConfigMap', 'default', 'lost'), 'the lost one is collected');
  expect(cluster.state.get('ConfigMap', 'default', 'kept')?.metadata.ownerReferences).toHaveLength(1);
});
