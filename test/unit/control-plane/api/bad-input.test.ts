/** What a client may send to hurt: it gets a sentence, soon, and nobody else notices. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ConfigMap, Pod } from '../../../../proto/gen/types.ts';
import { admin, createHarness, type Harness } from './harness.ts';

const configMap: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, data: { a: 'b' } };
const nested = (open: string, close: string): string =>
  open.repeat(200_000) + (open ? '1' : '') + close.repeat(200_000);
/** A search that looks back takes minutes for these. */
const soonMs = 2000;

describe('bad input', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await createHarness();
    await harness.create(configMap);
  });
  const patched = (patch: string) => harness.api.Patch({ kind: 'ConfigMap', name: 'cm', patch }, admin);

  it.each([
    ['objects', `{"data":${nested('{"a":', '}')}}`],
    ['lists', `{"data":{"a":${nested('[', ']')}}}`],
    ['lists where anything may stand', `{"metadata":{"managedFields":${nested('[', ']')}}}`],
  ])('refuses a patch of deeply nested %s', async (_what, patch) => {
    await expect(patched(patch)).rejects.toMatchObject({
      code: 'invalidArgument',
      message: expect.stringContaining('nested deeper than 64'),
    });
  });

  it('reads a patch as deep as objects are', async () => {
    const { object } = await patched('{"metadata":{"labels":{"app":"web"}}}');
    expect(object?.configMap?.metadata.labels).toEqual({ app: 'web' });
  });

  it.each([
    ['of commas', { labelSelector: ','.repeat(1_000_000) }],
    ['of spaces', { fieldSelector: `metadata.name=a${' '.repeat(500_000)}b` }],
  ])('refuses a selector %s without thinking about it', async (_what, selector) => {
    const startedMs = performance.now();
    await expect(harness.api.List({ kind: 'Pod', ...selector }, admin)).rejects.toMatchObject({
      code: 'invalidArgument',
    });
    expect(performance.now() - startedMs).toBeLessThan(soonMs);
  });

  it('looks for no word that an endless name could have meant', async () => {
    const startedMs = performance.now();
    await expect(patched(`{"${'x'.repeat(5_000_000)}":1}`)).rejects.toMatchObject({ code: 'invalidArgument' });
    expect(performance.now() - startedMs).toBeLessThan(soonMs);
  });

  it('quotes little of a name that is none', async () => {
    const call = harness.api.Get({ kind: 'Pod', name: 'a'.repeat(100_000) }, admin);
    const error = await call.catch((refusal: Error) => refusal);
    expect(error).toMatchObject({ code: 'invalidArgument' });
    expect((error as Error).message.length).toBeLessThan(300);
  });

  it('takes names of what every object has as what they are', async () => {
    const labels = { constructor: 'x', toString: 'y', valueOf: 'z' };
    await patched(JSON.stringify({ metadata: { labels }, data: labels }));
    expect((await harness.get<ConfigMap>('ConfigMap', 'cm')).data).toEqual({ a: 'b', ...labels });
    const listed = async (labelSelector: string) =>
      (await harness.api.List({ kind: 'ConfigMap', labelSelector }, admin)).items?.length;
    expect(await listed('constructor=x')).toBe(1);
    expect(await listed('hasOwnProperty')).toBe(0);
    await expect(patched('{"data":{"__proto__":"x"}}')).rejects.toMatchObject({ code: 'invalidArgument' });
  });

  it('changes a pod whose template wrote nonsense where field sets are kept', async () => {
    const annotations = { 'fields.gantry.dev/ctl': 'null', 'fields.gantry.dev/x': 'not JSON' };
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'main', image: 'echo' }] },
    };
    const created = await harness.create(pod);
    await harness.put({ ...created, metadata: { ...created.metadata, annotations } });
    const patch = '{"metadata":{"labels":{"app":"web"}}}';
    const { object } = await harness.api.Patch({ kind: 'Pod', name: 'p', patch }, admin);
    expect(object?.pod?.metadata.labels).toEqual({ app: 'web' });
  });
});
