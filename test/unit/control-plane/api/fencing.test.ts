/** What the API refuses so that a StatefulSet's pod never runs twice. */
import { beforeEach, describe, expect, it } from 'vitest';
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
});
