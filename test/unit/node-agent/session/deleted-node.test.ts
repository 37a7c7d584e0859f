/** What an agent does whose Node was deleted, and what it does not. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import { DeletedNode } from '../../../../node-agent/session/deleted-node.ts';
import { openSliceStore, type SliceDisk, type SliceStore } from '../../../../node-agent/session/slice-store.ts';
import type { KubeObject, Pod, Service } from '../../../../proto/gen/types.ts';

const files = new Map<string, Uint8Array>();
const disk: SliceDisk = {
  read: async (file) => files.get(file),
  write: async (file, content) => void files.set(file, content),
};
const pod = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '5' },
  spec: { nodeName: 'n1', containers: [] },
});
const service: Service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', resourceVersion: '4' },
  spec: {},
};

let clock: VirtualClock;
let slice: SliceStore;
let marks: string[];
let said: { fields: object; message: string }[];
let deletedNode: DeletedNode;

const open = (): Promise<SliceStore> => openSliceStore({ file: 'slice', disk, clock, log: silentLog });
const begin = (): DeletedNode =>
  new DeletedNode({
    nodeName: 'n1',
    slice,
    mark: async (as) => void marks.push(as ?? 'node'),
    log: { ...silentLog, error: (fields: object, message: string) => void said.push({ fields, message }) },
  });
const whole = (revision: string, ...objects: KubeObject[]): void =>
  slice.apply({ complete: true, revision, objects: objects.map(toEnvelope) });
const names = (): string[] => slice.list('Pod').map(({ metadata }) => metadata.name);

beforeEach(async () => {
  clock = virtualClock();
  files.clear();
  [marks, said] = [[], []];
  slice = await open();
  deletedNode = begin();
  whole('7', pod('a'), pod('b'), service);
});

describe('an agent whose node was deleted', () => {
  test('has no pods any more, and keeps what all nodes see; after a restart, too', async () => {
    const touched: string[] = [];
    slice.onChange(({ podUIDs }) => touched.push(...podUIDs));
    deletedNode.deleted('9');
    expect(names()).toEqual([]);
    expect(touched.sort()).toEqual(['uid-a', 'uid-b']);
    expect(slice.list('Service')).toHaveLength(1);
    expect(slice.revision).toBe('9');
    await slice.flush();
    slice = await open();
    expect([names(), slice.revision]).toEqual([[], '9']);
  });

  test('says so once, however often it is told, and notes it until it is welcomed', async () => {
    for (let time = 0; time < 3; time += 1) deletedNode.deleted('9');
    expect(said).toEqual([
      { fields: { node: 'n1', pods: 2 }, message: expect.stringContaining('was deleted from the cluster') },
    ]);
    await clock.settle();
    expect(marks).toEqual(['deleted']);
    for (let time = 0; time < 2; time += 1) deletedNode.welcomed();
    await clock.settle();
    expect(marks).toEqual(['deleted', 'node']);
    whole('12', pod('c'));
    expect(names()).toEqual(['c']);
    deletedNode.deleted('15');
    expect(names()).toEqual([]);
    expect(said).toHaveLength(2);
  });

  test('learns even without a slice that nothing is wanted of it', async () => {
    files.clear();
    slice = await open();
    deletedNode = begin();
    let told = 0;
    slice.onChange(() => {
      told += 1;
    });
    deletedNode.deleted('9');
    expect([slice.revision, told]).toEqual(['9', 1]);
  });

  test('takes away the note of an agent before it when it is welcomed', async () => {
    deletedNode.welcomed();
    await clock.settle();
    expect(marks).toEqual(['node']);
    expect(names()).toEqual(['a', 'b']);
  });
});
