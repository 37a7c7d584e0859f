/** Which agents are told to remove what, and when the volume's object goes. */
import { expect, it } from 'vitest';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { Reclamation } from '../../../../control-plane/storage/reclaim.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import { silentLog } from '../../../../lib/log.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import type { KubeObject, PersistentVolume, PersistentVolumeClaim } from '../../../../proto/gen/types.ts';
import { node } from '../scheduler/objects.ts';

const volumeOf = (name: string, nodeName: string, policy: 'Retain' | 'Delete' = 'Delete'): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name, uid: name, resourceVersion: '1' },
  spec: {
    local: { path: `volumes/${name}` },
    persistentVolumeReclaimPolicy: policy,
    claimRef: { namespace: 'default', name: `claim-${name}`, uid: `claim-${name}` },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }] }],
      },
    },
  },
});
const claimOf = (volume: string): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: `claim-${volume}`, namespace: 'default', uid: `claim-${volume}`, resourceVersion: '1' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, volumeName: volume },
});

function start(...objects: KubeObject[]) {
  const clock = virtualClock();
  const state = new MutableClusterState();
  const show = (...all: KubeObject[]): void =>
    state.replace(
      all.map((object) => ({ key: keyOf(object), object })),
      state.revision + 1n,
    );
  show(...objects);
  const asked: [string, readonly string[]][] = [];
  const removed: string[] = [];
  const answers: boolean[] = [];
  const reclamation = new Reclamation({
    state,
    clock,
    log: silentLog,
    onWanted: (nodeName, { paths = [] }) => void asked.push([nodeName, paths]),
    async remove({ metadata }) {
      const answer = answers.shift() ?? true;
      if (answer) removed.push(metadata.name);
      return answer;
    },
  });
  reclamation.begin();
  return { clock, show, asked, removed, answers, reclamation };
}

it('asks for volumes whose claim is gone, of the node that has them', async () => {
  const rest = [node('n1'), node('n2'), volumeOf('a', 'n1'), volumeOf('b', 'n2'), volumeOf('kept', 'n1', 'Retain')];
  const { clock, show, asked, reclamation } = start(...rest, claimOf('a'), claimOf('b'), claimOf('kept'));
  expect(asked).toEqual([]);
  const going = claimOf('a');
  going.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
  going.metadata.resourceVersion = '2';
  show(...rest, going, claimOf('b'));
  await clock.advance(1_000);
  expect(asked).toEqual([]);
  show(...rest, claimOf('b'));
  await clock.advance(1_000);
  expect(asked).toEqual([['n1', ['volumes/a']]]);
  expect(reclamation.wantedOf('n1')).toEqual({ paths: ['volumes/a'] });
  expect(reclamation.wantedOf('n2')).toBeUndefined();
});

it('waits with the data as long as somebody else holds the volume', async () => {
  const volume = volumeOf('a', 'n1');
  const held = { ...volume, metadata: { ...volume.metadata, finalizers: ['kubernetes.io/pv-protection', 'backup'] } };
  const { clock, show, asked, removed, reclamation } = start(node('n1'), held);
  await reclamation.removed('n1', ['volumes/a']);
  expect([asked, removed]).toEqual([[], []]);
  show(node('n1'), { ...volume, metadata: { ...volume.metadata, resourceVersion: '2' } });
  await clock.advance(1_000);
  expect(asked).toEqual([['n1', ['volumes/a']]]);
});

it('believes an agent only about its own volumes that were to go', async () => {
  const { removed, reclamation } = start(
    node('n1'),
    node('n2'),
    volumeOf('a', 'n1'),
    volumeOf('b', 'n1'),
    claimOf('b'),
  );
  await reclamation.removed('n2', ['volumes/a']);
  await reclamation.removed('n1', ['volumes/b']);
  expect(removed).toEqual([]);
  await reclamation.removed('n1', ['volumes/a', 'volumes/b']);
  expect(removed).toEqual(['a']);
});

it('asks again when the volume changed while it was removed', async () => {
  const { clock, asked, removed, answers, reclamation } = start(node('n1'), volumeOf('a', 'n1'));
  answers.push(false);
  await reclamation.removed('n1', ['volumes/a']);
  expect(removed).toEqual([]);
  await clock.advance(1_000);
  expect(asked).toEqual([
    ['n1', ['volumes/a']],
    ['n1', ['volumes/a']],
  ]);
  await reclamation.removed('n1', ['volumes/a']);
  expect(removed).toEqual(['a']);
});
