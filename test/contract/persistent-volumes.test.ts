/** Directories of persistent volumes: made once, kept, and removed when the control plane asks; over real disk and gRPC. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { virtualClock } from '../../lib/clock-virtual.ts';
import { silentLog } from '../../lib/log.ts';
import { makePersistentDir, removePersistentDir, VolumeRemover } from '../../node-agent/pods/persistent-dirs.ts';
import type { PersistentVolume, Pod } from '../../proto/gen/types.ts';
import { startSessionCluster } from './session-cluster.ts';

const path = 'volumes/pvc-0a1b2c3d-0000-4000-8000-000000000000';
let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gantry-volumes-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

const modeOf = async (dir: string): Promise<number> => (await stat(dir)).mode & 0o7777;
const eventually = (check: () => unknown): Promise<unknown> =>
  vi.waitFor(check as () => void, { timeout: 8_000, interval: 10 });

describe('the directory', () => {
  test('is there for all users of the pod; with fsGroup for its group', async () => {
    await makePersistentDir(join(dataDir, 'volumes/a'), { uid: 0, gid: 0, groupShared: false });
    await makePersistentDir(join(dataDir, 'volumes/b'), { uid: 0, gid: 2000, groupShared: true });
    expect(await modeOf(join(dataDir, 'volumes/a'))).toBe(0o777);
    expect(await modeOf(join(dataDir, 'volumes/b'))).toBe(0o2777);
    expect((await stat(join(dataDir, 'volumes/b'))).gid).toBe(2000);
  });

  test('is left as it is when it is there, with its data, owner and mode', async () => {
    const dir = join(dataDir, 'volumes/a');
    const owner = { uid: 0, gid: 0, groupShared: false };
    await makePersistentDir(dir, owner);
    await writeFile(join(dir, 'data'), 'kept');
    await chmod(dir, 0o700);
    await makePersistentDir(dir, { ...owner, gid: 5, groupShared: true });
    expect(await readFile(join(dir, 'data'), 'utf8')).toBe('kept');
    expect(await modeOf(dir)).toBe(0o700);
  });

  test('that was half made when the agent died is made again', async () => {
    const dir = join(dataDir, 'volumes/a');
    await mkdir(`${dir}.new`, { recursive: true });
    await makePersistentDir(dir, { uid: 0, gid: 0, groupShared: false });
    expect(await modeOf(dir)).toBe(0o777);
    expect(existsSync(`${dir}.new`)).toBe(false);
  });
});

describe('removal', () => {
  const podOn = (phase: 'Running' | 'Succeeded'): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {
      containers: [],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c', bound: { volumeName: 'pv', path } } }],
    },
    status: { phase },
  });

  test('waits for the last pod, says when it is done, and never leads out of the volumes', async () => {
    const clock = virtualClock();
    const removed: string[] = [];
    let pods: Pod[] = [podOn('Running')];
    const folders = { dataDir, runDir: dataDir };
    const remover = new VolumeRemover({
      files: { removePersistentDir: (dir) => removePersistentDir(folders, dir) },
      pods: () => pods,
      removed: (paths) => void removed.push(...paths),
      clock,
      log: silentLog,
    });
    await mkdir(join(dataDir, path, 'deep'), { recursive: true });
    await mkdir(join(dataDir, 'pki'));
    remover.want({ paths: [path, 'pki', 'volumes/../pki', '/etc'] });
    await clock.advance(20_000);
    expect(removed).toEqual([]);
    expect(existsSync(join(dataDir, path, 'deep'))).toBe(true);

    pods = [podOn('Succeeded')];
    await clock.advance(5_000);
    await eventually(() => expect(removed).toEqual([path]));
    expect(existsSync(join(dataDir, path))).toBe(false);
    expect(existsSync(join(dataDir, 'pki'))).toBe(true);
    remover.stop();
  });

  test('is asked of the agent of the volume’s node, until it is done; then the volume goes', async () => {
    const cluster = await startSessionCluster();
    try {
      await cluster.startReplica('cp-1');
      const asked: string[][] = [];
      const others: string[][] = [];
      const agent = await cluster.startAgent('node-1', { onRemoveVolumes: ({ paths = [] }) => void asked.push(paths) });
      await cluster.startAgent('node-2', { onRemoveVolumes: ({ paths = [] }) => void others.push(paths) });
      await eventually(() => expect(agent.client.connected).toBe(true));
      const hostname = { key: 'metadata.name', operator: 'In' as const, values: ['node-1'] };
      const volume: PersistentVolume = {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: 'pv', uid: 'pv', finalizers: ['kubernetes.io/pv-protection'] },
        spec: {
          local: { path },
          persistentVolumeReclaimPolicy: 'Delete',
          claimRef: { namespace: 'default', name: 'gone', uid: 'gone' },
          nodeAffinity: { required: { nodeSelectorTerms: [{ matchFields: [hostname] }] } },
        },
      };
      await cluster.put({
        ...volume,
        metadata: { ...volume.metadata, name: 'kept' },
        spec: { ...volume.spec, persistentVolumeReclaimPolicy: 'Retain' },
      });
      await cluster.put(volume);
      await eventually(() => expect(asked).toEqual([[path]]));
      expect(others).toEqual([]);
      agent.client.volumesRemoved([path]);
      await eventually(async () => expect(await cluster.get('PersistentVolume', undefined, 'pv')).toBeUndefined());
      expect(await cluster.get('PersistentVolume', undefined, 'kept')).toBeDefined();
    } finally {
      await cluster.stop();
    }
  });
});
