/** Evict asks the disruption budgets; Delete does not. */
import { describe, expect, it } from 'vitest';
import type { Pod, PodDisruptionBudget } from '../../../../proto/gen/types.ts';
import { createCli } from '../../cli/harness.ts';
import { admin, createHarness, type Harness, manifest, podManifest } from './harness.ts';

const budgetManifest = (spec: object): PodDisruptionBudget =>
  manifest({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
  });

async function runningPod({ create, put }: Harness, name: string, ready = true): Promise<void> {
  const pod = await create<Pod>(manifest(podManifest(name, { app: 'web' })));
  const conditions = [{ type: 'Ready', status: ready ? ('True' as const) : ('False' as const) }];
  await put({ ...pod, spec: { ...pod.spec, nodeName: 'n1' }, status: { phase: 'Running', conditions } });
}

/** As the controller would have counted. */
async function count({ get, put }: Harness, status: PodDisruptionBudget['status'] = {}): Promise<void> {
  const budget = await get<PodDisruptionBudget>('PodDisruptionBudget', 'web');
  await put({ ...budget, status: { observedGeneration: 1, desiredHealthy: 1, ...status } });
}

const evict = ({ api }: Harness, name: string) => api.Evict({ namespace: 'default', name }, admin);

describe('evicting under a budget', () => {
  it('goes on while the budget allows it, and is charged at once', async () => {
    const harness = await createHarness();
    for (const name of ['a', 'b']) await runningPod(harness, name);
    await harness.create(budgetManifest({ minAvailable: 1 }));
    await expect(evict(harness, 'a')).rejects.toThrow(/still being processed/);
    await count(harness, { disruptionsAllowed: 1, currentHealthy: 2 });
    await evict(harness, 'a');
    expect((await harness.get<Pod>('Pod', 'a')).metadata.deletionTimestamp).toBeDefined();
    const budget = await harness.get<PodDisruptionBudget>('PodDisruptionBudget', 'web');
    expect(budget.status!.disruptionsAllowed).toBe(0);
    await expect(evict(harness, 'b')).rejects.toMatchObject({
      code: 'resourceExhausted',
      message: expect.stringMatching(/^Cannot evict pod as it would violate the pod's disruption budget\. /),
    });
    expect((await harness.get<Pod>('Pod', 'b')).metadata.deletionTimestamp).toBeUndefined();
    await evict(harness, 'a');
  });

  it('of two at once, one waits', async () => {
    const harness = await createHarness();
    for (const name of ['a', 'b']) await runningPod(harness, name);
    await harness.create(budgetManifest({ minAvailable: 1 }));
    await count(harness, { disruptionsAllowed: 1, currentHealthy: 2 });
    const outcomes = await Promise.allSettled([evict(harness, 'a'), evict(harness, 'b')]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('a pod that is not ready is free while the others suffice', async () => {
    const harness = await createHarness();
    await runningPod(harness, 'a');
    await runningPod(harness, 'sick', false);
    await harness.create(budgetManifest({ minAvailable: 1 }));
    await count(harness, { disruptionsAllowed: 0, currentHealthy: 0 });
    await expect(evict(harness, 'sick')).rejects.toThrow(/Cannot evict/);
    await count(harness, { disruptionsAllowed: 0, currentHealthy: 1 });
    await evict(harness, 'sick');
  });

  it('a delete asks nobody', async () => {
    const harness = await createHarness();
    await runningPod(harness, 'a');
    await harness.create(budgetManifest({ maxUnavailable: 0 }));
    await harness.api.Delete({ kind: 'Pod', namespace: 'default', name: 'a' }, admin);
    expect((await harness.get<Pod>('Pod', 'a')).metadata.deletionTimestamp).toBeDefined();
  });

  it('a budget says one thing, in numbers or parts', async () => {
    const { create } = await createHarness();
    const both = budgetManifest({ minAvailable: 1, maxUnavailable: 1 });
    await expect(create(both)).rejects.toThrow(/keep exactly one/);
    await expect(create(budgetManifest({ minAvailable: '120%' }))).rejects.toThrow(/more than 100%/);
    await expect(create(budgetManifest({ minAvailable: 'many' }))).rejects.toThrow(/neither a number/);
  });
});

describe('ctl drain under a budget', () => {
  it('says that it waits, and gives up when its time is over', async () => {
    const cli = await createCli();
    await cli.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} });
    await runningPod(cli, 'a');
    await cli.create(budgetManifest({ maxUnavailable: 0 }));
    await count(cli, { disruptionsAllowed: 0, currentHealthy: 1 });
    const { err, code } = await cli.run('drain n1 --force --timeout=100ms');
    expect(err).toContain('error when evicting pods/"a" -n "default" (will retry after 5s): Cannot evict pod');
    expect(err).toContain('the disruption budgets of these pods do not let them go: default/a');
    expect(code).not.toBe(0);
  });
});
