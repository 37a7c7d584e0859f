import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordStore } from '../../../../node-agent/runtime/records.ts';
import { readInRoot } from '../../../../node-agent/runtime/rootfs.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gantry-records-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('recordStore', () => {
  it('gives back what it was given, and forgets what was removed', async () => {
    const store = recordStore<{ a: number }>(`${dir}/r`);
    await store.save('x', { a: 1 });
    await store.save('x', { a: 2 });
    await store.save('y', { a: 3 });
    await store.remove('y');
    expect([...(await recordStore(`${dir}/r`).load())]).toEqual([['x', { a: 2 }]]);
  });

  it('clears away a folder in which no record was ever finished', async () => {
    await mkdir(`${dir}/half`);
    await writeFile(`${dir}/half/.record.json.1`, '{"a":');
    expect((await recordStore(dir).load()).size).toBe(0);
    expect(await readdir(dir)).toEqual([]);
  });
});

describe('readInRoot', () => {
  it('follows links inside the root, never out of it', async () => {
    await mkdir(`${dir}/root/etc`, { recursive: true });
    await writeFile(`${dir}/secret`, 'host');
    await writeFile(`${dir}/root/real`, 'image');
    await symlink('/real', `${dir}/root/etc/absolute`);
    await symlink('../../../../real', `${dir}/root/etc/above`);
    await symlink('../../secret', `${dir}/root/etc/out`);
    await symlink('loop', `${dir}/root/etc/loop`);
    const read = (path: string): Promise<string> => readInRoot(`${dir}/root`, path);
    expect(await read('/etc/absolute')).toBe('image');
    expect(await read('/etc/above')).toBe('image');
    expect(await read('/etc/out')).toBe('');
    expect(await read('/etc/loop')).toBe('');
    expect(await read('/etc')).toBe('');
    expect(await read('/etc/none')).toBe('');
  });
});
