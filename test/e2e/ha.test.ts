/**
 * Three control planes over three etcd members, under a constant load of applies, on a bad day: nothing acknowledged is
 * lost, nothing is bound twice, nothing that runs is touched, and scheduling is away for less than five seconds.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, service } from './manifests.ts';
import { identities, killProgram, podProcesses, workload } from './processes.ts';
import { type Load, Replicas, startLoad } from './replicas.ts';

const limitMs = 5000;
const stallMs = 30_000;
const controlPlanes = ['cp-1', 'cp-2', 'cp-3'];

let lab: Lab;
let replicas: Replicas;
let load: Load;
let steady: Pod[];
let steadyProcesses: string[];
let probes = 0;

beforeAll(async () => {
  lab = await startLab({ nodes: 2, controlPlanes: 3 });
  replicas = new Replicas(lab);
  await lab.api.apply(deployment('steady', 4, {}));
  await lab.api.apply(service('steady', 'steady'));
  steady = await waitFor('the steady pods are ready', 60_000, async () => {
    const ready = await lab.api.readyPods('app=steady');
    return ready.length === 4 && ready;
  });
  steadyProcesses = await identities(lab, workload);
  load = startLoad(replicas);
});
afterAll(() => lab?.remove());

const schedules = (): Promise<number> => {
  probes += 1;
  return replicas.schedulesWithin(`probe-${probes}`, 30_000);
};
const others = (name: string): string[] => controlPlanes.filter((machine) => machine !== name);

/** Every program runs again, and every replica answers and names the same leader. */
async function whole(): Promise<void> {
  await waitFor('three control planes agree on who leads', 30_000, async () => {
    const answers = controlPlanes.map((_, index) => replicas.only(index).GetClusterInfo({}, { deadlineMs: 1000 }));
    const leaders = new Set((await Promise.all(answers)).map(({ leader }) => leader));
    return leaders.size === 1 && !leaders.has('') && (await lab.processes('etcd')).length === 3;
  });
}

async function stall(role: 'etcd' | 'control-plane', machine: string): Promise<() => void> {
  const [program] = await lab.processes(role, machine);
  process.kill(program!.pid, 'SIGSTOP');
  return () => void process.kill(program!.pid, 'SIGCONT');
}

describe('three control planes', () => {
  test('all serve the API and DNS, and ctl knows them all', async () => {
    await whole();
    expect(replicas.addresses).toEqual([2, 3, 4].map((last) => `${lab.subnet}.${last}:6443`));
    const { clusterIP } = (await lab.api.get('Service', 'steady')).spec;
    for (const last of [2, 3, 4]) {
      const asked = ['nslookup', 'steady.default.svc.cluster.local', `${lab.subnet}.${last}`];
      expect((await lab.exec('node-1', asked)).stdout).toContain(`Address: ${clusterIP}`);
    }
  });

  // It is started again, and leads again, or another one does: whoever is first.
  test('the leader killed: scheduling goes on', async () => {
    await killProgram(lab, 'control-plane', await replicas.leader());
    expect(await schedules()).toBeLessThan(limitMs);
    await whole();
  });

  test('a replica that does not lead killed, an etcd member killed, the one beside the leader too', async () => {
    const leader = await replicas.leader();
    await killProgram(lab, 'control-plane', others(leader)[0]);
    expect(await schedules()).toBeLessThan(limitMs);
    await whole();
    for (const machine of [leader, others(leader)[1]]) {
      await killProgram(lab, 'etcd', machine);
      expect(await schedules()).toBeLessThan(limitMs);
      await whole();
    }
  });

  test('the leader stalled for 30 s, and an etcd member: the leader that wakes up is none any more', async () => {
    const startedMs = systemClock.monotonicMs();
    const leader = await replicas.leader();
    const goOn = [await stall('control-plane', leader)];
    try {
      expect(await schedules()).toBeLessThan(limitMs);
      const next = await replicas.leader();
      expect(next).not.toBe(leader);
      goOn.push(await stall('etcd', next));
      expect(await schedules()).toBeLessThan(limitMs);
      await systemClock.sleep(stallMs - (systemClock.monotonicMs() - startedMs));
      expect(await schedules()).toBeLessThan(limitMs);
    } finally {
      for (const wake of goOn) wake();
    }
    await whole();
    expect(await schedules()).toBeLessThan(limitMs);
  });

  test('the machine of the leader lost, with its etcd member, and healed', async () => {
    const leader = await replicas.leader();
    await lab.kill(leader);
    // Two elections, one after the other: etcd's, and then ours when the lease has run out.
    expect(await schedules()).toBeLessThan(2 * limitMs);
    await lab.heal(leader);
    await whole();
  });

  test('and nothing of it was felt: no write lost, no pod twice, nothing moved or restarted', async () => {
    const newest = await load.stop();
    expect(load.acknowledged).toBeGreaterThan(300);
    const stored = new Map((await replicas.configMaps()).map((map) => [map.metadata.name, Number(map.data?.value)]));
    expect([...newest].filter(([name, value]) => (stored.get(name) ?? 0) < value)).toEqual([]);

    const pods = await replicas.pods();
    const addresses = pods.flatMap(({ status }) => status?.podIP ?? []);
    expect(new Set(addresses).size).toBe(addresses.length);
    const nodesOf = new Map<string, Set<string>>();
    for (const { podUid, node } of await podProcesses(lab)) {
      nodesOf.set(podUid, (nodesOf.get(podUid) ?? new Set()).add(node));
    }
    expect([...nodesOf].filter(([, nodes]) => nodes.size > 1)).toEqual([]);

    const now = pods.filter(({ metadata }) => metadata.labels?.app === 'steady');
    const facts = (list: readonly Pod[]) =>
      list
        .map(({ metadata, spec, status }) => [
          metadata.uid,
          spec.nodeName,
          status?.containerStatuses?.[0]?.restartCount,
        ])
        .sort();
    expect(facts(now)).toEqual(facts(steady));
    expect(await identities(lab, workload)).toEqual(expect.arrayContaining(steadyProcesses));
  });
});
