/** What the API refuses so that a StatefulSet's pod never runs twice. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createClusterService } from '../../../../control-plane/api/cluster-service.ts';
import { bindingPart, boundPod } from '../../../../control-plane/scheduler/bind.ts';
import { withNode } from '../../../../control-plane/scheduler/fenced-bindings.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { revisionOf } from '../../../../lib/model/object.ts';
import type { Store } from '../../../../lib/store/store.ts';
import type { Node, Pod, Taint } from '../../../../proto/gen/types.ts';
import { admin, createHarness, type Harness } from './harness.ts';

let harness: Harness;

beforeEach(async () => {
  harness = await createHarness();
  await harness.put(node());
  await harness.put(member());
});

function node(taints: Taint[] = []): Node {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', uid: 'uid-n1' }, spec: { taints } };
}

function member(parts: Partial<Pod> = {}): Pod {
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-db', controller: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'db-0', namespace: 'default', uid: 'uid-db-0', ownerReferences: [owner] },
    spec: { containers: [{ name: 'main', image: 'db:1' }], nodeName: 'n1' },
    status: { phase: 'Running' },
    ...parts,
  };
}

const force = () => harness.api.Delete({ kind: 'Pod', name: 'db-0', gracePeriodSeconds: 0 }, admin);
const deleteNode = () => harness.api.Delete({ kind: 'Node', name: 'n1' }, admin);

describe('deletion by force', () => {
  it('is refused while the pod may run, with what to do instead', async () => {
    await expect(force()).rejects.toThrow(/must not run twice.*ctl node out-of-service n1/);
    const response = await harness.api.Delete({ kind: 'Pod', name: 'db-0' }, admin);
    expect(response.object?.pod?.metadata.deletionTimestamp).toBeDefined();
    await expect(force()).rejects.toThrow(/must not run twice/);
  });

  it.each<[string, () => Promise<void>]>([
    [
      'the node is out of service',
      () => harness.put(node([{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }])),
    ],
    ['the pod has ended', () => harness.put(member({ status: { phase: 'Failed' } }))],
    ['the pod is on no node', () => harness.put(member({ spec: { containers: [{ name: 'main', image: 'db:1' }] } }))],
    ["the pod is nobody's", () => harness.put(member({ metadata: { ...member().metadata, ownerReferences: [] } }))],
  ])('is allowed when %s', async (_name, prepare) => {
    await prepare();
    await force();
    await expect(harness.get('Pod', 'db-0')).rejects.toThrow(/not found/);
  });
});

describe('deletion of a node', () => {
  it('is refused while it has such pods', async () => {
    await expect(deleteNode()).rejects.toThrow(
      /node n1 has pods that must not run twice \(default\/db-0\); drain it first/,
    );
    await harness.put(member({ status: { phase: 'Succeeded' } }));
    await deleteNode();
  });

  describe('and the binding of such a pod', () => {
    const { nodeName: _nowhere, ...spec } = member().spec;
    const unbound = member({ spec, status: { phase: 'Pending' } });

    /** As the scheduler writes it, upon what there is now. */
    async function binding(): Promise<() => Promise<boolean>> {
      const [pod, on] = [await harness.get<Pod>('Pod', 'db-0'), await harness.get<Node>('Node', 'n1')];
      const part = withNode(bindingPart(boundPod(pod, on, '10.42.1.7', 0)), on, revisionOf(on));
      return async () => (await harness.store.transact(part)).succeeded;
    }
    /** Lets something happen when the pods of the node have been looked at, and its deletion is on its way. */
    function deletingWhen(happen: () => Promise<unknown>) {
      let happened: Promise<unknown> | undefined;
      const { store: real } = harness;
      const store = {
        get: (key) => real.get(key),
        async transact(transaction) {
          happened ??= happen();
          await happened;
          return real.transact(transaction);
        },
      } as Pick<Store, 'get' | 'transact'> as Store;
      const { Delete } = createClusterService({ ...harness.dependencies, store });
      return Delete({ kind: 'Node', name: 'n1' }, admin);
    }

    beforeEach(() => harness.put(unbound));

    it('is refused when the binding was first', async () => {
      const bind = await binding();
      await expect(deletingWhen(bind)).rejects.toThrow(/node n1 has pods that must not run twice \(default\/db-0\)/);
      const bound = await harness.get<Pod>('Pod', 'db-0');
      expect(bound.spec.nodeName).toBe('n1');
    });

    it('makes the binding fail when it was first', async () => {
      const bind = await binding();
      await deleteNode();
      expect(await bind()).toBe(false);
      expect((await harness.get<Pod>('Pod', 'db-0')).spec.nodeName).toBeUndefined();
      await expect(harness.get('Node', 'n1')).rejects.toThrow(/not found/);
    });

    it('goes by pods that are no older than the node', async () => {
      const old = new MutableClusterState();
      const { revision } = await harness.store.status();
      old.replace(
        [unbound].map((object) => ({ key: keyOf(object), object })),
        revision,
      );
      const { Delete } = createClusterService({ ...harness.dependencies, upToDate: async () => old });
      expect(await (await binding())()).toBe(true);
      await expect(Delete({ kind: 'Node', name: 'n1' }, admin)).rejects.toThrow(/must not run twice/);
    });
  });
});
