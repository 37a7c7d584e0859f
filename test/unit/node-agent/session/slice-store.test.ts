import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import type { SliceChange } from '../../../../node-agent/session/slice.ts';
import { openSliceStore } from '../../../../node-agent/session/slice-store.ts';
import type { Secret, Slice } from '../../../../proto/gen/types.ts';

let folder: string;
let file: string;
let clock: VirtualClock;
let errors: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-slice-'));
  file = join(folder, 'slice');
  clock = virtualClock();
  errors = [];
});
afterEach(() => rm(folder, { recursive: true }));

const open = () =>
  openSliceStore({ file, clock, log: { ...silentLog, error: (_: object, message: string) => errors.push(message) } });
const secret = (name: string, revision: number): Secret => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: String(revision) },
  data: { key: Buffer.from(`value ${revision}`).toString('base64') },
});
const slice = (revision: number, ...objects: Secret[]): Slice => ({
  complete: true,
  objects: objects.map(toEnvelope),
  revision: String(revision),
});

describe('the slice on disk', () => {
  test('is read back as it was, and is for root alone', async () => {
    const store = await open();
    expect(store.revision).toBeUndefined();
    store.apply(slice(7, secret('a', 5), secret('b', 7)));
    await store.flush();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await open();
    expect(again.revision).toBe('7');
    expect(again.list('Secret')).toEqual(store.list('Secret'));
    expect(again.get('Secret', 'default', 'a')?.data).toEqual(secret('a', 5).data);
  });

  test('is written once for a burst, with the last of it', async () => {
    const store = await open();
    for (let revision = 1; revision <= 50; revision += 1) store.apply(slice(revision, secret('a', revision)));
    await clock.advance(150);
    await expect(stat(file)).rejects.toThrow(/ENOENT/);
    await clock.advance(100);
    await store.flush();
    expect((await open()).revision).toBe('50');
  });

  test.each([
    ['empty', () => Buffer.alloc(0)],
    ['cut', (bytes: Buffer) => bytes.subarray(0, bytes.length - 3)],
    ['flipped', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])])],
  ])('that is %s is ignored and said so', async (_, damage) => {
    const store = await open();
    store.apply(slice(7, secret('a', 5)));
    await store.flush();
    await writeFile(file, damage(await readFile(file)));
    const again = await open();
    expect([again.revision, again.list('Secret')]).toEqual([undefined, []]);
    expect(errors.join()).toMatch(/damaged and is ignored/);
  });

  test('that cannot be written is an error in the log, and memory goes on', async () => {
    const store = await open();
    await writeFile(join(folder, 'file'), '');
    const blocked = await openSliceStore({
      file: join(folder, 'file', 'slice'),
      clock,
      log: { ...silentLog, error: (_: object, message: string) => errors.push(message) },
    });
    blocked.apply(slice(1, secret('a', 1)));
    await blocked.flush();
    expect(errors.at(-1)).toMatch(/was not written/);
    expect(blocked.get('Secret', 'default', 'a')).toBeDefined();
    expect(store.revision).toBeUndefined();
  });
});

test('listeners hear what changed, after it is visible; that nothing did of a complete slice alone', async () => {
  const store = await open();
  const heard: SliceChange[] = [];
  const cancel = store.onChange((change) => {
    expect(store.get('Secret', 'default', 'a')).toBeDefined();
    heard.push(change);
  });
  store.apply(slice(1, secret('a', 1)));
  store.apply({ revision: '2' });
  expect(store.revision).toBe('2');
  expect(heard.map(({ kinds }) => [...kinds])).toEqual([['Secret']]);
  store.apply(slice(3, secret('a', 1)));
  expect(heard.map(({ kinds }) => [...kinds])).toEqual([['Secret'], []]);
  cancel();
  store.apply(slice(4, secret('a', 4)));
  expect(heard).toHaveLength(2);
  await store.flush();
});
