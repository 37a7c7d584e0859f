/** One Secret that cannot be opened is named, and can be deleted; it hides nothing else. */
import { beforeEach, describe, expect, it } from 'vitest';
import { unreadableAnnotation } from '../../../../control-plane/api/unreadable.ts';
import { commit } from '../../../../control-plane/state/commit.ts';
import { objectKey } from '../../../../lib/model/keys.ts';
import { putOf } from '../../../../lib/store/store.ts';
import type { Namespace, Secret, WatchEvent } from '../../../../proto/gen/types.ts';
import { createCli } from '../../cli/harness.ts';
import { admin, contextOf, createHarness, type Harness } from './harness.ts';

const secret = (name: string): Secret => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  data: { password: 'aHVudGVyMg==' } as NonNullable<Secret['data']>,
});
const brokenKey = objectKey('Secret', 'default', 'broken');
const breakIt = async ({ store }: Harness): Promise<void> => {
  const { kv } = await store.get(brokenKey);
  const bytes = Uint8Array.from(kv!.value);
  bytes[bytes.length - 1]! ^= 1;
  await store.transact({ compare: [], success: [putOf(brokenKey, bytes)] });
};

describe('a Secret that cannot be opened', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await createHarness();
    for (const name of ['another', 'broken', 'third']) await harness.create(secret(name));
    await breakIt(harness);
  });
  const names = async (): Promise<string[]> => {
    const { items = [] } = await harness.api.List({ kind: 'Secret' }, admin);
    return items.map(({ secret: one }) => `${one?.metadata.name} ${one?.type} ${Object.keys(one?.data ?? {})}`);
  };

  it('stands in a list without its data, and says why', async () => {
    expect(await names()).toEqual([
      'another Opaque password',
      'broken gantry.dev/unreadable ',
      'third Opaque password',
    ]);
    const { items = [] } = await harness.api.List({ kind: 'Secret' }, admin);
    expect(items[1]?.secret?.metadata.annotations?.[unreadableAnnotation]).toMatch(/broken was altered in the store/);
  });

  it('does not end a watch', async () => {
    const stopping = new AbortController();
    const seen: string[] = [];
    for await (const event of harness.api.Watch({ kind: 'Secret' }, contextOf('admin', stopping.signal))) {
      const { object, type } = event as WatchEvent;
      seen.push(`${type} ${object?.secret?.metadata.name ?? ''}`);
      if (type === 'BOOKMARK') await harness.api.Delete({ kind: 'Secret', name: 'broken' }, admin);
      if (type === 'DELETED') break;
    }
    stopping.abort();
    expect(seen).toEqual(['ADDED another', 'ADDED broken', 'ADDED third', 'BOOKMARK ', 'DELETED broken']);
  });

  it('is refused by name with the next step, and never overwritten', async () => {
    const cure = /broken was altered in the store; delete it and create it again/;
    await expect(harness.get('Secret', 'broken')).rejects.toThrow(cure);
    await expect(harness.apply(secret('broken'))).rejects.toThrow(cure);
    await expect(harness.create(secret('broken'))).rejects.toThrow('Secret "broken" already exists');
  });

  it('can be deleted, and made anew', async () => {
    await harness.api.Delete({ kind: 'Secret', name: 'broken' }, admin);
    expect(await names()).toHaveLength(2);
    await harness.create(secret('broken'));
    expect(await names()).toHaveLength(3);
  });

  it('goes with its namespace, of which nobody could see that it is in it', async () => {
    const parts = { ...harness.dependencies };
    const namespace = await harness.get<Namespace>('Namespace', 'default');
    await commit(parts, [{ type: 'remove', object: namespace }]);
    expect((await harness.store.get(brokenKey)).kv).toBeUndefined();
  });
});

describe('ctl and a Secret that cannot be opened', () => {
  it('lists it, and deletes it like any other', async () => {
    const cli = await createCli();
    for (const name of ['another', 'broken']) await cli.create(secret(name));
    await breakIt(cli);
    expect((await cli.run('get secrets')).out).toMatch(/^broken +gantry\.dev\/unreadable +0 /m);
    expect((await cli.run('describe secret broken')).err).toMatch(
      /^Error from server \(DataLoss\): .*delete it and create it again/,
    );
    expect((await cli.run('delete secret broken')).out).toBe('secret "broken" deleted\n');
    expect((await cli.run('get secrets -o name')).out).toBe('secret/another\n');
  });
});
