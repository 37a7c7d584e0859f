import { describe, expect, test } from 'vitest';
import { ReportBuffer } from '../../../../node-agent/session/report-buffer.ts';
import type { Event, Pod, PodStatus } from '../../../../proto/gen/types.ts';

const pod = (name: string) => ({ namespace: 'default', name, uid: `uid-${name}` });
const running: PodStatus = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
const event = (message: string): Event => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: message },
  involvedObject: {},
  message,
});

describe('reports', () => {
  test('go one batch at a time, the newest of each pod, until they are acknowledged', () => {
    const reports = new ReportBuffer();
    reports.pod(pod('a'), { phase: 'Pending' });
    reports.pod(pod('a'), running);
    const first = reports.take();
    expect(first?.pods).toEqual([{ ...pod('a'), status: running }]);
    reports.pod(pod('a'), { phase: 'Failed' });
    expect(reports.take()).toBeUndefined();
    reports.acknowledge(first!.sequence! + 5);
    expect(reports.take()).toBeUndefined();
    reports.acknowledge(first!.sequence!);
    const second = reports.take();
    expect(second?.pods?.map(({ status }) => status?.phase)).toEqual(['Failed']);
    reports.acknowledge(second!.sequence!);
    expect(reports.take()).toBeUndefined();
  });

  test('that repeat what was said are not sent', () => {
    const reports = new ReportBuffer();
    reports.pod(pod('a'), running);
    reports.acknowledge(reports.take()!.sequence!);
    reports.pod(pod('a'), structuredClone(running));
    expect(reports.take()).toBeUndefined();
  });

  test('are all said again in a new session, removals and unacknowledged events too, but what is done with stays done', () => {
    const reports = new ReportBuffer();
    reports.pod(pod('a'), running);
    reports.removed(pod('b'));
    reports.acknowledge(reports.take()!.sequence!);
    reports.removed(pod('c'));
    reports.event(event('one'));
    reports.take();
    reports.event(event('two'));
    reports.startAgain();
    const batch = reports.take();
    expect(batch?.pods).toEqual([
      { ...pod('a'), status: running },
      { ...pod('c'), removed: true },
    ]);
    expect(batch?.events?.map(({ message }) => message)).toEqual(['one', 'two']);
  });

  test('that were overruled while they were on their way are said again', () => {
    const stored = (ready: 'True' | 'False'): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a', uid: 'uid-a' },
      spec: { containers: [] },
      status: { conditions: [{ type: 'Ready', status: ready }] },
    });
    const reports = new ReportBuffer();
    reports.pod(pod('a'), running);
    // It came there, and somebody took its node for lost: that arrives before our acknowledgement.
    const first = reports.take()!;
    reports.observe(stored('False'));
    reports.acknowledge(first.sequence!);
    expect(reports.take()).toBeUndefined();
    expect(reports.review()).toBe(true);
    const second = reports.take()!;
    expect(second.pods).toEqual([{ ...pod('a'), status: running }]);
    // What is seen after that was only late: its echo follows.
    reports.observe(stored('False'));
    reports.acknowledge(second.sequence!);
    reports.observe(stored('True'));
    expect(reports.review()).toBe(false);
    expect(reports.take()).toBeUndefined();
  });

  test('of the node go with hello, and afterwards when something changes', () => {
    const reports = new ReportBuffer();
    reports.node({ capacity: { cpu: '1' } });
    expect(reports.nodeStatus).toEqual({ capacity: { cpu: '1' } });
    reports.startAgain();
    expect(reports.take()).toBeUndefined();
    reports.node({ capacity: { cpu: '1' } });
    expect(reports.take()).toBeUndefined();
    reports.node({ capacity: { cpu: '2' } });
    expect(reports.take()?.node).toEqual({ capacity: { cpu: '2' } });
  });

  test('are repeated when the control plane thinks otherwise of a pod’s readiness, and only then', () => {
    const reports = new ReportBuffer();
    reports.pod(pod('a'), running);
    reports.acknowledge(reports.take()!.sequence!);
    const stored = (status: 'True' | 'False'): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: pod('a'),
      spec: { containers: [] },
      status: { phase: 'Running', podIP: '10.42.0.2', conditions: [{ type: 'Ready', status }] },
    });
    reports.observe(stored('True'));
    expect(reports.take()).toBeUndefined();
    reports.observe(stored('False'));
    expect(reports.take()?.pods?.[0]?.status).toEqual(running);
  });

  test('of many pods are cut into batches, and events do not grow without bound', () => {
    const reports = new ReportBuffer();
    for (let index = 0; index < 600; index += 1) {
      reports.pod(pod(`p${index}`), running);
      reports.event(event(String(index)));
    }
    const seen = new Set<string>();
    const events: string[] = [];
    for (let batch = reports.take(); batch; batch = reports.take()) {
      expect(batch.pods?.length ?? 0).toBeLessThanOrEqual(250);
      for (const { uid } of batch.pods ?? []) seen.add(uid!);
      events.push(...(batch.events ?? []).map(({ message }) => message!));
      reports.acknowledge(batch.sequence!);
    }
    expect(seen.size).toBe(600);
    expect(events).toEqual(Array.from({ length: 500 }, (_, index) => String(index + 100)));
  });
});
