/**
 * Whatever fails and whenever the agent dies, pods come up; after their deletion nothing of them is left.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GantryError } from '../../../../lib/errors.ts';
import type { Pod } from '../../../../proto/gen/types.ts';
import { configMap, createTestNode, markDeleted, type TestNode, testContainer, testPod } from './fixture.ts';

const runtimeSteps = [
  'createSandbox',
  'removeSandbox',
  'createContainer',
  'startContainer',
  'signalContainer',
  'removeContainer',
  'list',
] as const;
const fileSteps = ['saveRecord', 'prepareVolumes', 'prepareContainer', 'removePod'] as const;
const networkSteps = ['attach', 'detach'] as const;

type Mishap =
  | { readonly type: 'runtime'; readonly step: (typeof runtimeSteps)[number] }
  | { readonly type: 'files'; readonly step: (typeof fileSteps)[number] }
  | { readonly type: 'network'; readonly step: (typeof networkSteps)[number] }
  | { readonly type: 'agentCrash' }
  | { readonly type: 'agentRestart' }
  | { readonly type: 'powerOff' }
  | { readonly type: 'killSandbox' }
  | { readonly type: 'exit' }
  | { readonly type: 'pass'; readonly ms: number };

const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  fc.constantFrom(...runtimeSteps).map((step): Mishap => ({ type: 'runtime', step })),
  fc.constantFrom(...fileSteps).map((step): Mishap => ({ type: 'files', step })),
  fc.constantFrom(...networkSteps).map((step): Mishap => ({ type: 'network', step })),
  fc.constantFrom<Mishap>(
    { type: 'agentCrash' },
    { type: 'agentRestart' },
    { type: 'powerOff' },
    { type: 'killSandbox' },
    { type: 'exit' },
  ),
  fc.integer({ min: 0, max: 400 }).map((ms): Mishap => ({ type: 'pass', ms })),
);

const injected = new GantryError('internal', 'injected');

async function happen(node: TestNode, event: Mishap, pod: Pod): Promise<void> {
  switch (event.type) {
    case 'runtime':
      return node.host.failNext(event.step, injected);
    case 'files':
      return node.files.failNext(event.step, injected);
    case 'network':
      return node.network.failNext(event.step, injected);
    case 'agentCrash':
      node.crashAgent();
      return startAgent(node);
    case 'agentRestart':
      await stopAgent(node);
      return startAgent(node);
    case 'powerOff':
      node.crashAgent();
      node.host.powerOff();
      return startAgent(node);
    case 'killSandbox':
      return node.host.killSandbox(pod.metadata.uid!);
    case 'exit': {
      const running = [...node.host.containers.values()].find(({ status }) => status.state === 'running');
      if (running) node.host.exit(running.config.id, 1);
      return;
    }
    case 'pass':
      return node.clock.advance(event.ms);
  }
}

/** As a supervisor does: again and again. Time passes while the agent starts. */
async function startAgent(node: TestNode): Promise<void> {
  for (;;) {
    let outcome: 'pending' | 'up' | 'failed' = 'pending';
    node.startAgent().then(
      () => (outcome = 'up'),
      () => (outcome = 'failed'),
    );
    await node.clock.until(() => outcome !== 'pending', 10_000, 'the start of the agent');
    if ((outcome as string) === 'up') return;
    node.crashAgent();
    await node.clock.advance(200);
  }
}

async function stopAgent(node: TestNode): Promise<void> {
  let stopped = false;
  void node.stopAgent().then(() => (stopped = true));
  await node.clock.until(() => stopped, 10_000, 'the end of the agent');
}

function podOf(shape: { init: boolean; probe: boolean; config: boolean; side: boolean; preStop: boolean }): Pod {
  const main = testContainer('main', {
    ...(shape.probe && { readinessProbe: { httpGet: { port: '80' } }, livenessProbe: { exec: { command: ['x'] } } }),
    ...(shape.preStop && { lifecycle: { preStop: { sleep: { seconds: 1 } } } }),
    ...(shape.config && { volumeMounts: [{ name: 'conf', mountPath: '/conf' }] }),
  });
  return testPod('pod', {
    containers: shape.side ? [main, testContainer('side')] : [main],
    ...(shape.init && { initContainers: [testContainer('init', { command: ['true'] })] }),
    ...(shape.config && { volumes: [{ name: 'conf', configMap: { name: 'conf' } }] }),
  });
}

const shapes = fc.record({
  init: fc.boolean(),
  probe: fc.boolean(),
  config: fc.boolean(),
  side: fc.boolean(),
  preStop: fc.boolean(),
});

/** Not only said to be ready. */
function isWhole(node: TestNode, pod: Pod): boolean {
  const uid = pod.metadata.uid!;
  const sandbox = node.host.sandboxes.get(uid)?.status;
  const running = [...node.host.containers.values()].filter(({ status }) => status.state === 'running');
  return (
    node.isReady('pod') &&
    sandbox?.alive === true &&
    node.network.attached.get(uid)?.netnsPath === sandbox.netnsPath &&
    running
      .map(({ config }) => config.name)
      .sort()
      .join() === pod.spec.containers.map(({ name }) => name).join()
  );
}

/** Longer than every backoff that a few mishaps can lead to. */
const patienceMs = 1_200_000;

test('a pod comes up and goes whatever happens on the way', async () => {
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.array(mishap, { maxLength: 12 }),
      fc.array(mishap, { maxLength: 8 }),
      async (shape, onTheWayUp, onTheWayDown) => {
        const node = createTestNode({ latencyMs: 5 });
        await startAgent(node);
        const pod = podOf(shape);
        if (shape.config) node.slice.put(configMap('conf', { a: 'b' }));
        node.slice.put(pod);
        for (const event of onTheWayUp) await happen(node, event, pod);
        await node.clock.until(() => isWhole(node, pod), patienceMs, 'a whole and ready pod');

        node.slice.put(markDeleted(pod));
        for (const event of onTheWayDown) await happen(node, event, pod);
        await node.clock.until(() => node.removed.includes('pod'), patienceMs, 'removal');
        expect([...node.host.containers.keys()]).toEqual([]);
        expect([...node.host.sandboxes.keys()]).toEqual([]);
        expect([...node.network.attached.keys()]).toEqual([]);
        expect([...node.files.records.keys(), ...node.files.volumes.keys()]).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
}, 60_000);
