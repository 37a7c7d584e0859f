/** What programs send that fill in messages by themselves: the envelope's member says what an object is. */
import { describe, expect, it } from 'vitest';
import { isGantryError } from '../../../../lib/errors.ts';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import { type Kind, kinds } from '../../../../lib/model/schema.ts';
import type { KubeObject, ObjectEnvelope } from '../../../../proto/gen/types.ts';
import { admin, createHarness } from './harness.ts';

const bare = (kind: Kind, fields: object): ObjectEnvelope => {
  const [member] = Object.keys(toEnvelope({ kind, metadata: { name: 'x' } } as KubeObject));
  return { [member!]: fields };
};
const kindNames = kinds.map(({ kind }) => kind);

describe('objects without kind and apiVersion', () => {
  it('are what the request says they are', async () => {
    const { api, get, audit } = await createHarness();
    const { object, result } = await api.Apply(
      { object: bare('ConfigMap', { metadata: { name: 'x' }, data: { a: 'b' } }) },
      admin,
    );
    expect(result).toBe('created');
    expect(object?.configMap).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(await get('ConfigMap', 'x')).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: 'b' } });
    expect(audit.at(-1)).toMatchObject({ verb: 'apply', kind: 'ConfigMap', name: 'x' });
  });

  it('are something else than they say: refused', async () => {
    const { api } = await createHarness();
    const object = bare('ConfigMap', { kind: 'Node', apiVersion: 'v1', metadata: { name: 'x' } });
    await expect(api.Apply({ object }, admin)).rejects.toMatchObject({
      code: 'invalidArgument',
      message: 'kind: the request holds a ConfigMap, which calls itself "Node"; leave it out',
    });
  });

  it.each(kindNames)('%s: every half-filled one is answered with a sentence', async (kind) => {
    const { api } = await createHarness();
    const contents = [{}, { metadata: {} }, { metadata: { name: 'x' } }, { metadata: { name: 'x' }, spec: {} }];
    for (const fields of contents) {
      for (const method of ['Apply', 'Create', 'Update'] as const) {
        const outcome = await api[method]({ object: bare(kind, structuredClone(fields)) }, admin).catch(
          (error: unknown) => error,
        );
        if (outcome instanceof Error && !isGantryError(outcome)) throw outcome;
      }
    }
  });
});
