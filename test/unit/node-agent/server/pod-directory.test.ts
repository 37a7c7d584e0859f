import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { logFile } from '../../../../node-agent/pods/paths.ts';
import { createPodDirectory, findTarget } from '../../../../node-agent/server/pod-directory.ts';
import type { Pod } from '../../../../proto/gen/types.ts';

const pod = (name: string, containers: string[], metadata: Partial<Pod['metadata']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, ...metadata },
  spec: {
    containers: containers.map((entry) => ({ name: entry, image: 'x' })),
    initContainers: [{ name: 'init', image: 'x' }],
  },
});

describe('which container is meant', () => {
  test('the only one needs no name; init containers have to be named', () => {
    expect(findTarget([pod('web', ['main'])], { pod: 'web' }).container).toBe('main');
    expect(findTarget([pod('web', ['main'])], { pod: 'web', container: 'init' }).container).toBe('init');
  });

  test.each([
    [{ pod: 'web' }, /several containers: a, b, init; choose one with -c/],
    [{ pod: 'web', container: 'c' }, /no container "c"; it has: a, b, init/],
    [{ pod: 'nope' }, /pod default\/nope is not on this node/],
    [{ namespace: 'other', pod: 'web' }, /pod other\/web is not on this node/],
  ])('%j is refused with a choice', (request, sentence) => {
    expect(() => findTarget([pod('web', ['a', 'b'])], request)).toThrow(sentence);
  });

  test('of two pods of one name the one that stays', () => {
    const old = pod('web', ['main'], { uid: 'old', creationTimestamp: '2030-01-02T00:00:00Z', deletionTimestamp: 'x' });
    const next = pod('web', ['main'], { uid: 'new', creationTimestamp: '2030-01-01T00:00:00Z' });
    expect(findTarget([next, old], { pod: 'web' }).pod.metadata.uid).toBe('new');
  });
});

test('log files come in the order of runs, however many there were', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'gantry-directory-'));
  const folders = { dataDir, runDir: dataDir };
  const web = pod('web', ['main']);
  const directory = createPodDirectory({
    pods: { uids: () => ['uid-web'], pod: () => web },
    runtime: { list: async () => ({ sandboxes: [], containers: [] }) },
    folders,
  });
  const target = { pod: web, container: 'main' };
  expect(await directory.logFiles(target)).toEqual([]);
  await mkdir(dirname(logFile(folders, web, 'main', 0)), { recursive: true });
  const files = [2, 10, 9].map((attempt) => logFile(folders, web, 'main', attempt));
  for (const file of [...files, `${files[0]}.1`]) await writeFile(file, '');
  expect(await directory.logFiles(target)).toEqual([files[0], files[2], files[1]]);
  expect(await directory.newestRun(target)).toBeUndefined();
  await rm(dataDir, { recursive: true });
});
