/** PriorityClasses and what admission makes of them. */
import { describe, expect, it } from 'vitest';
import type { Pod, PriorityClass } from '../../../../proto/gen/types.ts';
import { createHarness, deploymentManifest, manifest, podManifest } from './harness.ts';

const priorityClass = (name: string, value: number, more: object = {}): PriorityClass =>
  manifest({ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value, ...more });
const podOf = (name: string, spec: object = {}): Pod => manifest(podManifest(name, {}, spec));

describe('priority at admission', () => {
  it('is that of the class, of the default class, or of the system', async () => {
    const { create } = await createHarness();
    expect((await create(podOf('before'))).spec.priority).toBeUndefined();
    await create(priorityClass('high', 1000, { preemptionPolicy: 'Never' }));
    await create(priorityClass('usual', 10, { globalDefault: true }));
    expect((await create(podOf('a', { priorityClassName: 'high' }))).spec).toMatchObject({
      priority: 1000,
      preemptionPolicy: 'Never',
    });
    expect((await create(podOf('b'))).spec).toMatchObject({ priority: 10, priorityClassName: 'usual' });
    const critical = await create(podOf('c', { priorityClassName: 'system-node-critical' }));
    expect(critical.spec.priority).toBe(2_000_001_000);
  });

  it('refuses a class that is not there, and a number that is not its', async () => {
    const { create } = await createHarness();
    await expect(create(podOf('a', { priorityClassName: 'none' }))).rejects.toThrow(/there is no PriorityClass "none"/);
    await expect(create(podOf('a', { priority: 5 }))).rejects.toThrow(/spec.priority.*set priorityClassName/s);
    expect((await create(podOf('a', { priority: 0 }))).spec.priority ?? 0).toBe(0);
  });

  it('stays with the pod when a manifest without it comes again', async () => {
    const { create, apply, get } = await createHarness();
    await create(priorityClass('high', 1000));
    const { object } = await apply(podOf('a', { priorityClassName: 'high' }));
    expect(object.spec.priority).toBe(1000);
    expect((await apply(podOf('a', { priorityClassName: 'high' }))).result).toBe('unchanged');
    expect((await get<Pod>('Pod', 'a')).spec.priority).toBe(1000);
  });

  it('is no business of a template', async () => {
    const { create } = await createHarness();
    const spec = { containers: [{ name: 'web', image: 'nginx:1' }], priority: 7 };
    const given = deploymentManifest('web', { template: { metadata: { labels: { app: 'web' } }, spec } });
    await expect(create(manifest(given))).rejects.toThrow(/set priorityClassName to a PriorityClass/);
  });
});

describe('a PriorityClass', () => {
  it('keeps its value, within the bounds, and one is the default', async () => {
    const { create, apply } = await createHarness();
    await apply(priorityClass('usual', 10, { globalDefault: true }));
    await expect(apply(priorityClass('usual', 11, { globalDefault: true }))).rejects.toThrow(/value: never changes/);
    await expect(create(priorityClass('other', 1, { globalDefault: true }))).rejects.toThrow(/"usual" is the default/);
    await expect(create(priorityClass('system-x', 1))).rejects.toThrow(/the system's own/);
    await expect(create(priorityClass('huge', 1_000_000_001))).rejects.toThrow(/at most 1000000000/);
    expect((await create(priorityClass('low', -5))).value).toBe(-5);
  });
});
