/** One suite for the image store in memory and the one over skopeo and containers-storage with a real registry. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { systemExec } from '../../lib/process.ts';
import { createFakeImageStore, createFakeRegistry } from '../../node-agent/images/fake.ts';
import type { ImageStore } from '../../node-agent/images/images.ts';
import { createImageStorage } from '../../node-agent/images/storage.ts';
import { mountPointsBelow, startTestRegistry } from './images-registry.ts';

interface Harness {
  readonly store: ImageStore;
  readonly registry: string;
  setRegistryUp(up: boolean): Promise<void>;
  corrupt(reference: string): Promise<void>;
  /** Downloads begun so far. */
  downloads(): number;
  dispose(): Promise<void>;
}

async function fakeHarness(): Promise<Harness> {
  const registry = createFakeRegistry();
  registry.push('busybox:1', { config: { env: ['PATH=/bin', 'FROM_IMAGE=yes'], stopSignal: 'SIGQUIT' } });
  registry.push('bad:1', { sizeBytes: 2 });
  const store = createFakeImageStore({ clock: systemClock, registry, pullMs: 5 });
  return {
    store,
    registry: 'registry.test:5000',
    setRegistryUp: async (up) => registry.setAvailable(up),
    corrupt: async (reference) => registry.fail(reference, 'DigestMismatch'),
    downloads: store.downloads,
    dispose: async () => {},
  };
}

async function realHarness(): Promise<Harness> {
  const base = systemExec();
  let downloads = 0;
  const exec = {
    ...base,
    run: (...[argv, options]: Parameters<typeof base.run>) => {
      if (argv[0] === 'skopeo') downloads += 1;
      return base.run(argv, options);
    },
  };
  const registry = await startTestRegistry(base);
  await registry.push('busybox:1');
  await registry.push('bad:1', 'unlike the other');
  const dir = await mkdtemp(join(tmpdir(), 'gantry-images-'));
  return {
    store: createImageStorage({
      defaultRegistry: registry.address,
      insecureRegistries: [registry.address],
      dataDir: `${dir}/data`,
      runDir: `${dir}/run`,
      exec,
    }),
    registry: registry.address,
    setRegistryUp: (up) => (up ? registry.start() : registry.stop()),
    corrupt: () => registry.corruptBlobs(),
    downloads: () => downloads,
    async dispose() {
      await registry.dispose();
      expect(mountPointsBelow(dir)).toEqual([]);
      await rm(dir, { recursive: true });
    },
  };
}

describe.each([
  ['in memory', fakeHarness],
  ['containers-storage', realHarness],
])('image store, %s', (_name, begin) => {
  let harness: Harness;
  let store: ImageStore;
  beforeAll(async () => {
    harness = await begin();
    store = harness.store;
  });
  afterAll(() => harness?.dispose());

  const failure = (reference: string): Promise<unknown> =>
    store.pull(reference).then(
      () => 'pulled',
      (error: { reason?: string }) => error.reason ?? error,
    );

  it('finds nothing before a pull', async () => {
    expect(await store.find('busybox:1')).toBeUndefined();
    expect(await store.list()).toEqual([]);
  });

  it('pulls, and two at once share the download', async () => {
    const [one, other] = await Promise.all([store.pull('busybox:1'), store.pull(`${harness.registry}/busybox:1`)]);
    expect(harness.downloads()).toBe(1);
    expect(other).toEqual(one);
    expect(one.id).toMatch(/^[0-9a-f]{64}$/);
    expect(one.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(one.reference).toBe(`${harness.registry}/busybox:1`);
    expect(one.sizeBytes).toBeGreaterThan(0);
    expect(one.config.env).toEqual(expect.arrayContaining(['PATH=/bin', 'FROM_IMAGE=yes']));
    expect(one.config).toMatchObject({ cmd: ['/bin/sh'], stopSignal: 'SIGQUIT', workingDir: '/', user: '' });
    expect(await store.find('busybox:1')).toEqual(one);
    expect(await store.list()).toEqual([one]);
  });

  it('pulls by digest', async () => {
    const byTag = await store.find('busybox:1');
    const byDigest = await store.pull(`busybox@${byTag?.digest}`);
    expect(byDigest).toMatchObject({ id: byTag?.id, reference: `${harness.registry}/busybox@${byTag?.digest}` });
  });

  it.each([
    ['nope:1', 'ImageNotFound'],
    ['busybox:nope', 'ImageNotFound'],
    [`busybox@sha256:${'0'.repeat(64)}`, 'ImageNotFound'],
    ['Nope', 'InvalidImageName'],
    ['busybox@sha256:12', 'InvalidImageName'],
  ])('says why %s cannot be had: %s', async (reference, reason) => {
    expect(await failure(reference)).toBe(reason);
  });

  it('names the image and the next step', async () => {
    await expect(store.pull('nope:1')).rejects.toThrow(
      `image "${harness.registry}/nope:1" not found in the registry; check the name and tag`,
    );
  });

  it('refuses what does not match its digest, and keeps nothing of it', async () => {
    await harness.corrupt('bad:1');
    expect(await failure('bad:1')).toBe('DigestMismatch');
    expect(await store.find('bad:1')).toBeUndefined();
  });

  it('says that the registry is down, keeps what it has, and pulls when it is back', async () => {
    await harness.setRegistryUp(false);
    expect(await failure('busybox:1')).toBe('RegistryUnavailable');
    expect(await store.find('busybox:1')).toBeDefined();
    await harness.setRegistryUp(true);
    expect((await store.pull('busybox:1')).reference).toBe(`${harness.registry}/busybox:1`);
  });

  it('gives up when told to', async () => {
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    await expect(store.pull('busybox:1', { signal: abort.signal })).rejects.toThrow('enough');
  });

  it('removes an image under all its names, and an absent one', async () => {
    const image = await store.find('busybox:1');
    await store.remove(image!.id);
    expect(await store.list()).toEqual([]);
    await store.remove(image!.id);
  });
});

describe('containers-storage on a full disk', () => {
  it('says so, and pulls when there is room', async () => {
    const exec = systemExec();
    const registry = await startTestRegistry(exec);
    const dir = await mkdtemp(join(tmpdir(), 'gantry-full-'));
    await registry.push('busybox:1');
    await exec.check(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]);
    try {
      const store = createImageStorage({
        defaultRegistry: registry.address,
        insecureRegistries: [registry.address],
        dataDir: `${dir}/data`,
        runDir: `${dir}/run`,
        exec,
      });
      await expect(store.pull('busybox:1')).rejects.toMatchObject({ reason: 'NoSpace', code: 'resourceExhausted' });
      expect(await store.list()).toEqual([]);
      await exec.check(['mount', '-o', 'remount,size=50m', dir]);
      expect((await store.pull('busybox:1')).sizeBytes).toBeGreaterThan(0);
    } finally {
      await exec.check(['umount', dir]);
      await rm(dir, { recursive: true });
      await registry.dispose();
    }
  });
});
