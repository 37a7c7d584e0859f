/** The pods' files on a real disk, as root: owners, modes, atomic switching, tmpfs, and that nothing is left. */
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { systemExec } from '../../lib/process.ts';
import { etcFile, logFile, podDir, terminationFile, volumeDir } from '../../node-agent/pods/paths.ts';
import type { PodFiles } from '../../node-agent/pods/pod-files.ts';
import { createDiskPodFiles } from '../../node-agent/pods/pod-files-disk.ts';
import { newRecord } from '../../node-agent/pods/record.ts';
import { isTmpfs, mountPointsBelow, unmountBelow } from '../../node-agent/pods/tmpfs.ts';
import type { VolumeFile, VolumePlan } from '../../node-agent/pods/volumes.ts';
import type { Pod } from '../../proto/gen/types.ts';

const exec = systemExec();
const uid = 'uid-1';
const owner = { uid: 1_048_576, gid: 1_048_576 + 2000, groupShared: true };
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid },
  spec: { containers: [{ name: 'main', image: 'web:1' }] },
};

let base: string;
let folders: { dataDir: string; runDir: string };
let files: PodFiles;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'gantry-pod-files-'));
  folders = { dataDir: `${base}/data`, runDir: `${base}/run` };
  files = createDiskPodFiles(folders, exec, silentLog);
});

afterEach(async () => {
  await unmountBelow(base, exec);
  await rm(base, { recursive: true, force: true });
});

const file = (path: string, text: string, mode = 0o644): VolumeFile => ({ path, data: Buffer.from(text), mode });
const configPlan = (...list: VolumeFile[]): VolumePlan => ({ type: 'files', name: 'conf', secret: false, files: list });
const prepare = (...plans: VolumePlan[]): Promise<void> => files.prepareVolumes(uid, plans, owner);

describe('records', () => {
  test('are read back; a damaged one is skipped', async () => {
    const record = newRecord(pod, 1, 1_048_576, '7');
    await files.saveRecord(record);
    await mkdir(podDir(folders, 'broken'), { recursive: true });
    await writeFile(`${podDir(folders, 'broken')}/record.json`, '{"pod":');
    expect(await files.loadRecords()).toEqual([JSON.parse(JSON.stringify(record))]);
  });
});

describe('ConfigMap and Secret volumes', () => {
  test('files belong to the root of the pod, the group shares them', async () => {
    const plan = configPlan(file('a', 'A'), file('deep/b', 'B', 0o400));
    await prepare(plan);
    const dir = volumeDir(folders, uid, plan);
    expect(await readFile(`${dir}/a`, 'utf8')).toBe('A');
    expect(await readFile(`${dir}/deep/b`, 'utf8')).toBe('B');
    const { uid: fileUid, gid, mode } = await stat(`${dir}/deep/b`);
    expect([fileUid, gid, mode & 0o777]).toEqual([owner.uid, owner.gid, 0o440]);
    expect((await lstat(`${dir}/a`)).uid).toBe(owner.uid);
  });

  test('all files change at one instant, what is gone goes, the same content changes nothing', async () => {
    const plan = configPlan(file('a', '1'), file('old', 'x'));
    const dir = volumeDir(folders, uid, plan);
    await prepare(plan);
    const before = await readlink(`${dir}/..data`);
    await prepare(plan);
    expect(await readlink(`${dir}/..data`)).toBe(before);
    await prepare(configPlan(file('a', '2'), file('new', 'y')));
    expect(await readlink(`${dir}/..data`)).not.toBe(before);
    expect((await readdir(dir)).filter((name) => !name.startsWith('..')).sort()).toEqual(['a', 'new']);
    expect(await readFile(`${dir}/a`, 'utf8')).toBe('2');
    expect((await readdir(dir)).filter((name) => name.startsWith('..')).length).toBe(2);
  });

  test('a switch that was cut short is finished', async () => {
    const plan = configPlan(file('a', '1'));
    const dir = volumeDir(folders, uid, plan);
    await prepare(plan);
    await mkdir(`${dir}/..2`);
    await symlink('..2', `${dir}/..data.new`);
    await prepare(configPlan(file('a', '2')));
    expect(await readFile(`${dir}/a`, 'utf8')).toBe('2');
  });

  test('secrets lie in memory alone', async () => {
    const plan: VolumePlan = { type: 'files', name: 'keys', secret: true, files: [file('pw', 'hush')] };
    await prepare(plan);
    const dir = volumeDir(folders, uid, plan);
    expect(await isTmpfs(dir)).toBe(true);
    const found = await exec.run(['grep', '-r', 'hush', folders.dataDir]);
    expect(found.stdout).toBe('');
  });
});

describe('emptyDir and hostPath', () => {
  test('an emptyDir is open to the pod and keeps what is in it', async () => {
    const plan: VolumePlan = { type: 'emptyDir', name: 'scratch', memory: false };
    await prepare(plan);
    const dir = volumeDir(folders, uid, plan);
    await writeFile(`${dir}/kept`, 'x');
    await prepare(plan);
    expect(await readFile(`${dir}/kept`, 'utf8')).toBe('x');
    const { uid: dirUid, gid, mode } = await stat(dir);
    expect([dirUid, gid, mode & 0o7777]).toEqual([owner.uid, owner.gid, 0o2777]);
  });

  test('one in memory holds no more than its limit, and is mounted once', async () => {
    const plan: VolumePlan = { type: 'emptyDir', name: 'mem', memory: true, sizeBytes: 64 * 1024 };
    await prepare(plan);
    await prepare(plan);
    const dir = volumeDir(folders, uid, plan);
    await expect(writeFile(`${dir}/big`, Buffer.alloc(256 * 1024))).rejects.toThrow(/ENOSPC/);
    expect(mountPointsBelow(await readFile('/proc/self/mountinfo', 'utf8'), dir)).toEqual([dir]);
  });

  test.each([
    ['Directory', 'does not exist'],
    ['File', 'does not exist'],
    ['', 'does not exist'],
  ])('hostPath type "%s" of what is not there: %s', async (pathType, words) => {
    await expect(prepare({ type: 'hostPath', name: 'h', path: `${base}/none`, pathType })).rejects.toThrow(words);
  });
  test('hostPath checks the type, and creates when asked to', async () => {
    await writeFile(`${base}/file`, '');
    const of = (path: string, pathType: string): VolumePlan => ({ type: 'hostPath', name: 'h', path, pathType });
    await expect(prepare(of(`${base}/file`, 'Directory'))).rejects.toThrow(/not a directory/);
    await prepare(of(`${base}/made/dir`, 'DirectoryOrCreate'), of(`${base}/made/file`, 'FileOrCreate'));
    expect((await stat(`${base}/made/file`)).isFile()).toBe(true);
  });
});

describe('subPath', () => {
  const plan: VolumePlan = { type: 'emptyDir', name: 'scratch', memory: false };
  test('is made when absent, as a folder of the pod', async () => {
    await prepare(plan);
    const path = await files.volumePath(uid, plan, 'a/b', owner);
    expect(path).toBe(await realpath(`${volumeDir(folders, uid, plan)}/a/b`));
    expect((await stat(`${volumeDir(folders, uid, plan)}/a`)).uid).toBe(owner.uid);
  });
  test('never leads out, also not by links that the pod made', async () => {
    await prepare(plan);
    await symlink('/etc', `${volumeDir(folders, uid, plan)}/out`);
    await expect(files.volumePath(uid, plan, 'out/passwd', owner)).rejects.toThrow(/leads out/);
  });
});

describe('a container', () => {
  test('finds its files, and its last words are read back', async () => {
    const etc = { hosts: 'h\n', hostname: 'web\n', resolvConf: 'r\n' };
    await files.prepareContainer(pod, 'main', 0, etc, owner);
    expect(await readFile(etcFile(folders, uid, 'hosts'), 'utf8')).toBe('h\n');
    const path = terminationFile(folders, uid, 'main', 0);
    const { uid: fileUid, mode } = await stat(path);
    expect([fileUid, mode & 0o777]).toEqual([owner.uid, 0o666]);
    await writeFile(path, `${'x'.repeat(5000)}end`);
    const words = await files.readTerminationMessage(uid, 'main', 0);
    expect([words.length, words.slice(-3)]).toEqual([4096, 'end']);
    expect(await files.readTerminationMessage(uid, 'main', 9)).toBe('');
  });

  test('keeps the logs of its present and former run, and the newest pieces', async () => {
    await files.prepareContainer(pod, 'main', 0, { hosts: '', hostname: '', resolvConf: '' }, owner);
    for (const name of ['0.log', '1.log', '2.log', '2.log.1', '2.log.4', '2.log.5', 'other']) {
      await writeFile(join(logFile(folders, pod, 'main', 0), '..', name), '');
    }
    await files.pruneLogs(pod, 'main', 1);
    const left = await readdir(join(logFile(folders, pod, 'main', 0), '..'));
    expect(left.sort()).toEqual(['1.log', '2.log', '2.log.1', '2.log.4', 'other']);
  });
});

test('a removed pod leaves nothing, also when only its uid is known', async () => {
  await files.saveRecord(newRecord(pod, 1));
  await prepare(
    { type: 'emptyDir', name: 'mem', memory: true },
    { type: 'files', name: 'keys', secret: true, files: [file('pw', 'hush')] },
    { type: 'emptyDir', name: 'disk', memory: false },
  );
  await files.prepareContainer(pod, 'main', 0, { hosts: '', hostname: '', resolvConf: '' }, owner);
  await files.removeVolumes(uid);
  expect((await files.loadRecords()).length).toBe(1);
  const nameless: Pod = { ...pod, metadata: { name: uid, namespace: 'unknown', uid } };
  await files.removePod(nameless);
  await files.removePod(nameless);
  const left = await readdir(base, { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile() || entry.name.includes(uid))).toEqual([]);
});
