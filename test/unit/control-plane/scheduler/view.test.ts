/** The picture that follows changes is the one that would be made anew from everything. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verdicts } from '../../../../control-plane/scheduler/explain.ts';
import type { NodeInfo } from '../../../../control-plane/scheduler/node-info.ts';
import { type Picture, pictureOf } from '../../../../control-plane/scheduler/picture.ts';
import { isPending } from '../../../../control-plane/scheduler/pod-classes.ts';
import { schedule } from '../../../../control-plane/scheduler/schedule.ts';
import { SchedulerView } from '../../../../control-plane/scheduler/view.ts';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { keyOf } from '../../../../lib/model/keys.ts';
import { seededRandom } from '../../../../lib/random.ts';
import type { KubeObject, Pod } from '../../../../proto/gen/types.ts';
import { node, pod } from './objects.ts';

const hostKey = 'kubernetes.io/hostname';
const nodeNames = ['n1', 'n2', 'n3'];

/** What a picture says, without positions and orders. */
function shown(picture: Picture): unknown {
  const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).sort();
  return picture.infos.map((info: NodeInfo) => ({
    ...info,
    hostPorts: [...info.hostPorts].sort(),
    pods: names(info.pods),
    finished: names(info.finished),
  }));
}

const probe = (labels: Record<string, string>): Pod => {
  const terms = [{ topologyKey: hostKey, labelSelector: { matchLabels: { app: 'a' } } }];
  const made = pod('probe', {
    owner: 'a',
    cpu: '500m',
    spec: { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } },
  });
  return { ...made, metadata: { ...made.metadata, labels } };
};

const changes = fc.oneof(
  fc.record({
    kind: fc.constant('Pod' as const),
    name: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
    node: fc.option(fc.constantFrom(...nodeNames), { nil: undefined }),
    app: fc.constantFrom('a', 'b'),
    cpu: fc.constantFrom('1', '2'),
    phase: fc.constantFrom('Pending', 'Running', 'Succeeded'),
    deleting: fc.boolean(),
    repels: fc.boolean(),
    gone: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('Node' as const),
    name: fc.constantFrom(...nodeNames),
    ready: fc.boolean(),
    cpu: fc.constantFrom('2', '4'),
    gone: fc.boolean(),
  }),
);
type Change = typeof changes extends fc.Arbitrary<infer T> ? T : never;

let revision = 0;
function objectOf(change: Change): KubeObject {
  revision += 1;
  if (change.kind === 'Node') {
    const made = node(change.name, { ready: change.ready, cpu: change.cpu, labels: { [hostKey]: change.name } });
    return { ...made, metadata: { ...made.metadata, resourceVersion: `${revision}` } };
  }
  const terms = [{ topologyKey: hostKey, labelSelector: { matchLabels: { app: 'b' } } }];
  const made = pod(change.name, {
    owner: change.app,
    cpu: change.cpu,
    spec: {
      ...(change.node !== undefined && { nodeName: change.node }),
      ...(change.repels && {
        affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
      }),
    },
  });
  return {
    ...made,
    metadata: {
      ...made.metadata,
      resourceVersion: `${revision}`,
      labels: { app: change.app },
      ...(change.deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    status: { phase: change.phase as 'Pending' },
  };
}

describe('the picture that follows changes', () => {
  it('is the one made from everything, after any of them, and a pass leaves it so', () => {
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 25 }), (all) => {
        const state = new MutableClusterState();
        state.replace([], 1n);
        const view = new SchedulerView(state);
        state.onChange((batch) => void view.apply(batch));
        for (const change of all) {
          const object = objectOf(change);
          state.apply([change.gone ? { key: keyOf(object) } : { key: keyOf(object), object }], BigInt(revision));
          const anew = pictureOf(state.list('Node'), state.list('Pod'));
          expect(shown(view.picture)).toEqual(shown(anew));
          for (const labels of [{ app: 'a' }, { app: 'b' }]) {
            expect(verdicts(probe(labels), view.picture)).toEqual(verdicts(probe(labels), anew));
          }
          expect(view.pending).toEqual(expect.arrayContaining(state.list('Pod').filter(isPending)));
          expect(view.pending).toHaveLength(state.list('Pod').filter(isPending).length);
          schedule(view.pending, view.picture, {
            defaultStrategy: 'least-loaded',
            state: { random: seededRandom(1), lastTurn: '' },
          });
          expect(shown(view.picture)).toEqual(shown(anew));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('says when a pass may decide otherwise, and when it cannot', () => {
    const state = new MutableClusterState();
    const running: Pod = { ...pod('there', { spec: { nodeName: 'n1' } }), status: { phase: 'Running' } };
    state.replace(
      [node('n1'), pod('waits'), running].map((object) => ({ key: keyOf(object), object })),
      1n,
    );
    const view = new SchedulerView(state);
    let matters: boolean | undefined;
    state.onChange((batch) => (matters = view.apply(batch)));
    const becomes = (object: KubeObject | undefined, key = keyOf(object!)): boolean | undefined => {
      matters = undefined;
      revision += 1;
      const metadata = object && { ...object.metadata, resourceVersion: `${revision}` };
      state.apply([{ key, ...(object && { object: { ...object, metadata } as KubeObject }) }], BigInt(revision));
      return matters;
    };
    const ready = { type: 'Ready', status: 'True' } as const;
    expect(becomes({ ...running, status: { phase: 'Running', conditions: [ready] } })).toBe(false);
    const told = { type: 'PodScheduled', status: 'False', message: 'no room' } as const;
    expect(becomes({ ...pod('waits'), status: { phase: 'Pending', conditions: [told] } })).toBe(false);
    const beat = node('n1');
    expect(becomes({ ...beat, status: { ...beat.status, nodeInfo: { kernelVersion: '6' } } } as KubeObject)).toBe(
      false,
    );
    expect(becomes(node('n1', { spec: { unschedulable: true } }))).toBe(true);
    expect(becomes({ ...pod('waits', { spec: { tolerations: [{ operator: 'Exists' }] } }) })).toBe(true);
    expect(becomes(pod('another'))).toBe(true);
    expect(becomes({ ...running, status: { phase: 'Succeeded' } })).toBe(true);
    expect(becomes(undefined, keyOf(running))).toBe(true);
  });
});
