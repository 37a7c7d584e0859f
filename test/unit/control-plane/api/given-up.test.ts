/** A client that has given up is told nothing any more; so nothing may be written for it either. */
import { beforeEach, describe, expect, it } from 'vitest';
import { GantryError } from '../../../../lib/errors.ts';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import type { Store } from '../../../../lib/store/store.ts';
import type { ConfigMap } from '../../../../proto/gen/types.ts';
import { configMapManifest, contextOf, createHarness, deploymentManifest, type Harness, manifest } from './harness.ts';

const configMap = (value: string): ConfigMap => manifest(configMapManifest('cm', { a: value }));
const givenUp = new GantryError('cancelled', 'the client went away');

describe('a client that gives up while the store is being read', () => {
  let harness: Harness;
  let client = new AbortController();
  /** Gives up at the first read from now on. */
  let isWaiting = false;

  beforeEach(async () => {
    client = new AbortController();
    isWaiting = false;
    const { store } = await createHarness();
    const watched = new Proxy<Store>(store, {
      get: (target, name: keyof Store) => {
        const member = target[name];
        if (name !== 'get') return typeof member === 'function' ? member.bind(target) : member;
        return async (...words: Parameters<Store['get']>) => {
          const answer = await target.get(...words);
          if (isWaiting) client.abort(givenUp);
          return answer;
        };
      },
    });
    harness = { ...(await createHarness({ store: watched })), store };
    await harness.create(configMap('before'));
    await harness.create(manifest(deploymentManifest('web', { replicas: 1 })));
    isWaiting = true;
  });
  const context = () => contextOf('admin', client.signal);
  const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['Create', () => harness.api.Create({ object: toEnvelope(manifest(configMapManifest('new'))) }, context())],
    ['Apply', () => harness.api.Apply({ object: toEnvelope(configMap('after')) }, context())],
    ['Update', () => harness.api.Update({ object: toEnvelope(configMap('after')) }, context())],
    ['Patch', () => harness.api.Patch({ kind: 'ConfigMap', name: 'cm', patch: '{"data":{"a":"after"}}' }, context())],
    ['Scale', () => harness.api.Scale({ kind: 'Deployment', name: 'web', replicas: 9 }, context())],
    ['Delete', () => harness.api.Delete({ kind: 'ConfigMap', name: 'cm' }, context())],
  ];

  it.each(calls)('has nothing written by %s', async (_method, call) => {
    const { revision } = await harness.store.get('/gantry/configmaps/default/cm');
    await expect(call()).rejects.toMatchObject({ code: 'cancelled' });
    expect((await harness.store.get('/gantry/configmaps/default/cm')).revision).toBe(revision);
  });
});
