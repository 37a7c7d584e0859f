/** Which pod holds a rollout up, and why. */
import { describe, expect, it } from 'vitest';
import { obstacleOf, tellingObstacle } from '../../../../lib/model/obstacle.ts';
import type { Pod } from '../../../../proto/gen/types.ts';

describe('what is in the way of a rollout', () => {
  const pod = (status: Pod['status']): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'echo:1' }] },
    status: status!,
  });
  it.each<[string, Pod['status'], string | undefined]>([
    ['nothing', { conditions: [{ type: 'Ready', status: 'True' }] }, undefined],
    [
      'no node',
      { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes fit: 3 cordoned' }] },
      '1 of 1 pods are not ready; web-1: 0/3 nodes fit: 3 cordoned',
    ],
    [
      'no image',
      {
        containerStatuses: [{ name: 'main', state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } }],
      },
      '1 of 1 pods are not ready; web-1: ErrImagePull: no such image',
    ],
    [
      'a node, in the words of the scheduler, rather than a container on its way',
      { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }] },
      '1 of 1 pods are not ready; web-1: Unschedulable: 0/3 nodes',
    ],
    [
      'a crash',
      {
        containerStatuses: [
          {
            name: 'main',
            state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s' } },
            lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
          },
        ],
      },
      '1 of 1 pods are not ready; web-1: CrashLoopBackOff: back-off 40s; last exit code 137 (OOMKilled)',
    ],
    [
      'a crash, while the container tries again',
      {
        containerStatuses: [
          { name: 'main', restartCount: 4, state: { running: {} }, lastState: { terminated: { exitCode: 1 } } },
        ],
      },
      '1 of 1 pods are not ready; web-1: container main was restarted 4 times; last exit code 1',
    ],
    ['something that nobody has told', {}, '1 of 1 pods are not ready; web-1: not ready and not yet on a node'],
    [
      'a probe',
      { conditions: [{ type: 'Ready', status: 'False', message: 'readiness probe failed' }] },
      '1 of 1 pods are not ready; web-1: readiness probe failed',
    ],
  ])('%s', (_name, status, sentence) => {
    expect(obstacleOf([pod(status)])).toBe(sentence);
  });

  it('is told of the pod that says most', () => {
    const creating = pod({
      containerStatuses: [{ name: 'main', state: { waiting: { reason: 'ContainerCreating' } } }],
    });
    const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
    const failing = pod({ containerStatuses: [{ name: 'main', state: { waiting } }] });
    const other: Pod = { ...failing, metadata: { ...failing.metadata, name: 'web-2' } };
    expect(obstacleOf([creating, other])).toBe('2 of 2 pods are not ready; web-2: ImagePullBackOff: no such image');
  });

  it('is what the probes said, when the container runs', () => {
    const running = pod({
      conditions: [{ type: 'Ready', status: 'False', message: 'containers with unready status: [main]' }],
      containerStatuses: [{ name: 'main', state: { running: {} } }],
    });
    const complaintAbout = (): string => 'Readiness probe failed: HTTP 503';
    expect(obstacleOf([running], { complaintAbout })).toContain('web-1: Readiness probe failed: HTTP 503');
  });

  it('is what keeps pods from being made, when there are none', () => {
    const leaving = pod({});
    leaving.metadata = { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
    leaving.spec = { ...leaving.spec, nodeName: 'node-2' };
    expect(obstacleOf([], { replicaFailure: 'exceeded quota' })).toBe('exceeded quota');
    expect(obstacleOf([], { oldPods: [leaving] })).toBe('waits for the former pod web-1 to stop on node node-2');
  });

  it('tells those who wait only what does not end by waiting a moment, and of each thing once', () => {
    const waiting = (reason: string, message?: string): Pod =>
      pod({ containerStatuses: [{ name: 'main', state: { waiting: { reason, ...(message && { message }) } } }] });
    expect(tellingObstacle([waiting('ContainerCreating')])).toBeUndefined();
    expect(
      tellingObstacle([pod({ conditions: [{ type: 'Ready', status: 'False', message: 'probe' }] })]),
    ).toBeUndefined();
    const [first, second] = ['back-off 10s', 'back-off 20s'].map((text) =>
      tellingObstacle([waiting('CrashLoopBackOff', text)]),
    );
    expect(second?.sentence).toBe('1 of 1 pods are not ready; web-1: CrashLoopBackOff: back-off 20s');
    expect(second?.subject).toBe(first?.subject);
    expect(tellingObstacle([waiting('ImagePullBackOff')])?.subject).not.toBe(first?.subject);
    expect(tellingObstacle([], { replicaFailure: 'exceeded quota' })?.sentence).toBe('exceeded quota');
    expect(tellingObstacle([])).toBeUndefined();
  });
});
