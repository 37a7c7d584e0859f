/** Owners and what they own, with the real controllers over the memory store. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCondition } from '../../../../lib/model/conditions.ts';
import { holdersOf, holdersSentence } from '../../../../lib/model/deletion-holders.ts';
import { isDeleting } from '../../../../lib/model/object.ts';
import type { ConfigMap, KubeObject, Node, OwnerReference, Pod } from '../../../../proto/gen/types.ts';
import { type Cluster, deployment, namespace, startCluster } from './cluster.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster();
});
afterEach(async () => {
  await cluster.stop();
  expect(cluster.problems).toEqual([]);
});

const configMap = (name: string, metadata: Partial<ConfigMap['metadata']> = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
});
const find = (name: string, where = 'default'): ConfigMap | undefined => cluster.state.get('ConfigMap', where, name);
const ownedBy = (owner: KubeObject, extra: Partial<OwnerReference> = {}): OwnerReference => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid ?? '',
  ...extra,
});
const terms = [{ matchExpressions: [{ key: 'no', operator: 'Exists' as const }] }];
const nowhere = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } };
const events = (reason: string) => cluster.state.list('Event').filter((event) => event.reason === reason);

/** As the API does for propagationPolicy Foreground. */
async function removeInForeground(kind: 'Deployment' | 'ConfigMap', name: string): Promise<void> {
  await cluster.edit(kind, name, (object) => ({
    ...object,
    metadata: { ...object.metadata, finalizers: [...(object.metadata.finalizers ?? []), 'foregroundDeletion'] },
  }));
  await cluster.remove(kind, name);
}
async function child(owner: string, name: string, extra: Partial<OwnerReference> = {}, more: object = {}) {
  await cluster.create(configMap(name, { ownerReferences: [ownedBy(find(owner)!, extra)], ...more }));
}

describe('deletion in the foreground', () => {
  it('removes pods, then ReplicaSets, then the Deployment', async () => {
    await cluster.create(deployment('web'));
    await cluster.until(() => cluster.pods().length === 3, 'the pods');
    const gone: string[] = [];
    cluster.state.onChange((changes) => {
      for (const { object, previous } of changes) if (!object && previous?.kind !== 'Event') gone.push(previous!.kind);
    });
    await removeInForeground('Deployment', 'web');
    await cluster.until(() => gone.includes('Deployment'), 'the end');
    expect(gone).toEqual(['Pod', 'Pod', 'Pod', 'ReplicaSet', 'Deployment']);
  });

  it('waits only for references that say blockOwnerDeletion, and deletes the others all the same', async () => {
    await cluster.create(configMap('owner'));
    await child('owner', 'blocking', { blockOwnerDeletion: true }, { finalizers: ['example.com/hold'] });
    await child('owner', 'other', {}, { finalizers: ['example.com/hold'] });
    await removeInForeground('ConfigMap', 'owner');
    await cluster.until(() => [find('blocking'), find('other')].every((one) => isDeleting(one!)), 'the deletions');
    await cluster.clock.advance(5_000);
    expect(find('owner')).toBeDefined();
    await cluster.edit('ConfigMap', 'blocking', (object) => ({
      ...object,
      metadata: { ...object.metadata, finalizers: [] },
    }));
    await cluster.until(() => find('owner') === undefined && find('blocking') === undefined, 'the end');
    expect(find('other')).toBeDefined();
  });

  it('leaves what has another owner', async () => {
    await cluster.create(configMap('one'), configMap('two'));
    const references = [ownedBy(find('one')!, { blockOwnerDeletion: true }), ownedBy(find('two')!)];
    await cluster.create(configMap('shared', { ownerReferences: references }));
    await removeInForeground('ConfigMap', 'one');
    await cluster.until(() => find('one') === undefined, 'the end');
    expect(find('shared')?.metadata.ownerReferences?.map(({ name }) => name)).toEqual(['two']);
  });

  it('says what it waits for when that lasts: a node that is lost, and a finalizer', async () => {
    await cluster.create(deployment('web', { replicas: 1 }));
    await cluster.until(() => cluster.pods()[0]?.spec.nodeName !== undefined, 'a pod on a node');
    const [pod] = cluster.pods();
    cluster.stoppedAgents.add(pod!.spec.nodeName!);
    await cluster.setNode(pod!.spec.nodeName!, 'Unknown');
    await removeInForeground('Deployment', 'web');
    await cluster.clock.advance(40_000);
    const said = events('DeletionBlocked').find(({ involvedObject }) => involvedObject?.kind === 'Deployment');
    expect(said).toMatchObject({ type: 'Warning', count: 1 });
    expect(said!.message).toMatch(/^Deletion waits for Pod default\/web-\S+ on node node-\d, which is NotReady/);
    expect(said!.message).toContain(`ctl node out-of-service ${pod!.spec.nodeName}`);
    await cluster.clock.advance(300_000);
    expect(events('DeletionBlocked').find(({ involvedObject }) => involvedObject?.kind === 'Deployment')?.count).toBe(
      1,
    );
    cluster.stoppedAgents.clear();
    await cluster.setNode(pod!.spec.nodeName!, 'True');
    await cluster.until(() => cluster.state.list('Deployment').length === 0, 'the end');

    await cluster.create(configMap('held', { finalizers: ['example.com/hold'] }));
    await cluster.remove('ConfigMap', 'held');
    await cluster.clock.advance(40_000);
    expect(events('DeletionBlocked').map(({ message }) => message)).toContain(
      'Deletion waits for finalizer example.com/hold of ConfigMap default/held, which whoever set it must take away',
    );
  });

  it('of a namespace says which object in it is held, and by what', async () => {
    await cluster.create(namespace('team'));
    await cluster.create(configMap('held', { namespace: 'team', finalizers: ['example.com/hold'] }), configMap('free'));
    await cluster.remove('Namespace', 'team');
    const conditions = () => cluster.state.get('Namespace', undefined, 'team')?.status?.conditions;
    const expected =
      '1 ConfigMap left; waits for finalizer example.com/hold of ConfigMap team/held, which whoever set it must take away';
    await cluster.until(
      () => findCondition(conditions(), 'NamespaceContentRemaining')?.message === expected,
      'the sentence',
    );
  });

  it('is not held by finalizers of Gantry that somebody should take away', () => {
    const metadata = { name: 'data', namespace: 'default', finalizers: ['kubernetes.io/pvc-protection'] };
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: {} } as unknown as KubeObject;
    const holders = holdersOf(claim, { dependentsOf: () => [], node: () => undefined });
    expect(holdersSentence(holders)).toBe(
      'waits for the pods that use PersistentVolumeClaim default/data; it goes when they are deleted',
    );
  });

  it('removes a pod that is on no node, and one that is', async () => {
    const { template } = deployment('web').spec;
    for (const [name, isPlaced] of [
      ['placed', true],
      ['pending', false],
    ] as const) {
      const nodeSelector = isPlaced ? {} : { nodeSelector: { no: 'such' }, affinity: nowhere };
      const pod: Pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'default', finalizers: ['foregroundDeletion'] },
        spec: { ...template.spec, ...nodeSelector },
      };
      await cluster.create(pod);
    }
    await cluster.until(() => cluster.pods().some(({ spec }) => spec.nodeName !== undefined), 'one placed');
    await cluster.remove('Pod', 'placed');
    await cluster.remove('Pod', 'pending');
    await cluster.until(() => cluster.pods().length === 0, 'the end');
  });

  it('ends in a circle of owners, and says so', async () => {
    await cluster.create(configMap('a'));
    await child('a', 'b', { blockOwnerDeletion: true });
    await child('b', 'c', { blockOwnerDeletion: true });
    const reference = ownedBy(find('c')!, { blockOwnerDeletion: true });
    await cluster.edit('ConfigMap', 'a', (object) => ({
      ...object,
      metadata: { ...object.metadata, ownerReferences: [reference] },
    }));
    await cluster.clock.advance(5_000);
    expect(cluster.state.list('ConfigMap')).toHaveLength(3); // each has an owner
    await removeInForeground('ConfigMap', 'a');
    await cluster.until(() => cluster.state.list('ConfigMap').length === 0, 'the end');
    await cluster.until(() => events('OwnerReferenceCycle').length === 1, 'the event');
    expect(events('OwnerReferenceCycle')[0]?.involvedObject?.name).toBe('c');
  });

  it('ends for what owns itself', async () => {
    await cluster.create(configMap('a'));
    const reference = ownedBy(find('a')!, { blockOwnerDeletion: true });
    await cluster.edit('ConfigMap', 'a', (object) => ({
      ...object,
      metadata: { ...object.metadata, ownerReferences: [reference] },
    }));
    await removeInForeground('ConfigMap', 'a');
    await cluster.until(() => find('a') === undefined, 'the end');
  });

  it('ends a circle in the background too', async () => {
    await cluster.create(configMap('a'));
    await child('a', 'b');
    const reference = ownedBy(find('b')!);
    await cluster.edit('ConfigMap', 'a', (object) => ({
      ...object,
      metadata: { ...object.metadata, ownerReferences: [reference] },
    }));
    await cluster.remove('ConfigMap', 'a');
    await cluster.until(() => cluster.state.list('ConfigMap').length === 0, 'the end');
  });
});

describe('a reference that leads nowhere', () => {
  const nobody: OwnerReference = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'gone', uid: 'never-was' };

  it('has its object collected, with an event that names it', async () => {
    await cluster.create(configMap('lost', { ownerReferences: [nobody] }));
    await cluster.until(() => find('lost') === undefined && events('OwnerNotFound').length === 1, 'the collection');
    expect(events('OwnerNotFound')[0]).toMatchObject({
      type: 'Warning',
      involvedObject: { kind: 'ConfigMap', name: 'lost' },
      message: 'Owner ReplicaSet gone (uid never-was) does not exist: what belongs to nobody else is deleted',
    });
  });

  it('is taken away when there is another owner', async () => {
    await cluster.create(configMap('owner'));
    await cluster.create(configMap('kept', { ownerReferences: [nobody, ownedBy(find('owner')!)] }));
    await cluster.until(() => find('kept')?.metadata.ownerReferences?.length === 1, 'the repair');
    expect(events('OwnerNotFound').length).toBeLessThanOrEqual(1);
  });

  it('is one into another namespace, too', async () => {
    await cluster.create(namespace('other'), configMap('owner'));
    await cluster.create(configMap('stranger', { namespace: 'other', ownerReferences: [ownedBy(find('owner')!)] }));
    const told = (): boolean => events('OwnerRefInvalidNamespace').length === 1;
    await cluster.until(() => find('stranger', 'other') === undefined && told(), 'the collection');
    expect(events('OwnerRefInvalidNamespace')[0]?.message).toContain('does not exist in namespace "other"');
  });

  it('says nothing when an owner goes as it should', async () => {
    await cluster.create(deployment('web'));
    await cluster.until(() => cluster.pods().length === 3, 'the pods');
    await cluster.remove('Deployment', 'web');
    await cluster.until(() => cluster.pods().length === 0, 'the collection');
    await cluster.clock.advance(5_000);
    expect(events('OwnerNotFound')).toEqual([]);
  });
});

describe('what holds a deletion up', () => {
  const node = (name: string, status: 'True' | 'Unknown', message?: string): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: {},
    status: { conditions: [{ type: 'Ready', status, ...(message && { message }) }] },
  });
  const nodes = new Map([
    ['n1', node('n1', 'True')],
    ['n2', node('n2', 'Unknown', 'no heartbeat for 3 s')],
  ]);
  const pod = (name: string, nodeName: string, owner: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      deletionTimestamp: '2026-01-01T00:00:00Z',
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: owner, blockOwnerDeletion: true }],
    },
    spec: { containers: [], nodeName },
  });

  it('is told from the inside, those first that will not end by themselves', () => {
    const owner = configMap('a', { uid: 'a', finalizers: ['foregroundDeletion'], deletionTimestamp: 'x' });
    const pods = [...Array.from({ length: 6 }, (_, index) => pod(`p${index}`, 'n1', 'a')), pod('lost', 'n2', 'a')];
    const world = {
      dependentsOf: (uid: string) => (uid === 'a' ? pods : []),
      node: (name: string) => nodes.get(name),
    };
    const sentence = holdersSentence(holdersOf(owner, world))!;
    expect(sentence).toMatch(
      /^waits for Pod default\/lost on node n2, which is NotReady: no heartbeat for 3 s; it goes when/,
    );
    expect(sentence).toMatch(/Pod default\/p3 on node n1, which is stopping it; and 2 more$/);
  });

  it('is nothing when nothing holds it', () => {
    const world = { dependentsOf: () => [], node: () => undefined };
    expect(holdersSentence(holdersOf(configMap('a'), world))).toBeUndefined();
  });
});

describe('a node that goes with its owner', () => {
  it('waits for pods that must not run twice, and says so', async () => {
    const owner = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'o' }, value: 1 };
    await cluster.create(owner as KubeObject);
    const { spec } = deployment('db', { replicas: 3 });
    const set = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db', namespace: 'default' }, spec };
    await cluster.create(set as KubeObject);
    const on = (name: string): readonly Pod[] => cluster.state.podsOnNode(name);
    await cluster.until(() => cluster.pods().filter(({ spec }) => spec.nodeName).length === 3, 'the pods', 120_000);
    const { name } = cluster.state.list('Node').find(({ metadata }) => on(metadata.name).length === 1)!.metadata;
    const [pod] = on(name);
    const ownerReferences = [ownedBy(cluster.state.get('PriorityClass', undefined, 'o')!)];
    await cluster.edit('Node', name, (node) => ({ ...node, metadata: { ...node.metadata, ownerReferences } }));
    await cluster.remove('PriorityClass', 'o');
    await cluster.until(() => events('DeletionBlocked').length > 0, 'the event');
    expect(events('DeletionBlocked')[0]!.message).toBe(
      `Deletion waits: node ${name} has pods that must not run twice (default/${pod!.metadata.name}); ` +
        `drain it first: ctl drain ${name}; if the machine is down, say so: ctl node out-of-service ${name}`,
    );
    await cluster.clock.advance(60_000);
    expect(cluster.state.get('Node', undefined, name)).toBeDefined();
    await cluster.edit('StatefulSet', 'db', (object) => ({ ...object, spec: { ...object.spec, replicas: 0 } }));
    await cluster.until(() => cluster.state.get('Node', undefined, name) === undefined, 'its end', 120_000);
    expect(cluster.pods()).toEqual([]);
  });
});
