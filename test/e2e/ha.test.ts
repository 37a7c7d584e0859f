/**
 * Three control planes over three etcd members on a bad day, under a constant load of applies: nothing acknowledged is
 * lost, nothing is bound twice, nothing that runs is touched, and scheduling is away for less than five seconds.
 *
 * Killed, and stopped for 30 s, are: the leader, a replica that does not lead, the etcd member that leads etcd, and those
 * that follow. Stops overlap where each still bears on another program: the first three begin one after another, when
 * scheduling has been seen to go on after the one before.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { programLog } from '../../deploy/lab/lab.ts';
import { requireMachine, requireState } from '../../deploy/lab/state.ts';
import { systemClock } from '../../lib/clock.ts';
import type { ControlPlaneInfo, Event, Pod } from '../../proto/gen/types.ts';
import { etcdLogs, slowSyncs } from './etcd-logs.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { type BindingWitness, type Load, lostWrites, startLoad, witnessBindings } from './load.ts';
import { deployment, service } from './manifests.ts';
import { identities, killProgram, podProcesses, workload } from './processes.ts';
import { Replicas } from './replicas.ts';

const limitMs = 5000;
const agentLimitMs = 2000;
const stallMs = 30_000;
const controlPlanes = ['cp-1', 'cp-2', 'cp-3'];
const nodes = ['node-1', 'node-2'];

let lab: Lab;
let replicas: Replicas;
let load: Load;
let witness: BindingWitness;
let steady: Pod[];
let steadyProcesses: string[];
let probes = 0;
/** "what: ms", told at the end. */
const measured: string[] = [];

beforeAll(async () => {
  lab = await startLab({ nodes: 1, controlPlanes: 3 });
  replicas = new Replicas(lab);
  await lab.api.apply(deployment('steady', 4, {}));
  await lab.api.apply(service('steady', 'steady'));
});
afterAll(async () => {
  await load?.stop();
  await witness?.stop();
  await lab?.remove();
});

const others = (name: string): string[] => controlPlanes.filter((machine) => machine !== name);
const addressOf = (machine: string): string => `${lab.subnet}.${1 + Number(machine.at(-1))}:6443`;

/** From now until a pod that is applied now has a node. */
async function schedules(what: string): Promise<void> {
  const sinceMs = systemClock.nowMs();
  probes += 1;
  const tookMs = await replicas.schedulesWithin(`probe-${probes}`, 30_000);
  measured.push(`${what}: scheduling after ${Math.round(tookMs)} ms`);
  if (tookMs >= limitMs) console.log(etcdLogs(lab, controlPlanes, 30).join('\n'));
  expect(tookMs, what).toBeLessThan(limitMs + diskAllowanceMs(sinceMs));
}

/**
 * A disk that stands still for a second or more, as etcd itself says, takes two of three members' agreement with it, and
 * etcd lets what was proposed meanwhile wait for seven seconds. That is not what is tested here.
 */
function diskAllowanceMs(sinceMs: number): number {
  const stood = slowSyncs(lab, controlPlanes, sinceMs);
  if (stood.length > 0) measured.push(`the disk stood still: ${stood.join(', ')}`);
  return stood.length > 0 ? 10_000 : 0;
}

/** Every program runs again, and every replica answers and names the same leader. */
async function whole(): Promise<void> {
  await waitFor('three control planes agree on who leads', 30_000, async () => {
    const answers = controlPlanes.map((_, index) => replicas.only(index).GetClusterInfo({}, { deadlineMs: 1000 }));
    const leaders = new Set((await Promise.all(answers)).map(({ leader }) => leader));
    return leaders.size === 1 && !leaders.has('') && (await lab.processes('etcd')).length === 3;
  });
}

/** The etcd members too. */
async function well(condition: (list: readonly ControlPlaneInfo[]) => boolean = () => true) {
  await whole();
  return waitFor('every control plane serves, and every etcd member is well', 30_000, async () => {
    const { controlPlanes: list = [] } = await replicas.ask((client) =>
      client.ListControlPlanes({}, { deadlineMs: 3000 }),
    );
    const isWell = list.length === 3 && list.every(({ ready, etcd }) => ready && etcd !== 'unreachable');
    return isWell && condition(list) && list;
  });
}

/** And etcd is led from another machine than the control planes are. */
const settled = () => well((list) => list.every(({ leader, etcd }) => !(leader && etcd === 'leader')));

/** How long after the newest election the agents were in session with the elected. */
async function agentsFollow(leader: string, sinceMs: number): Promise<void> {
  const elections = lab.log(leader).filter(({ msg, time }) => msg === 'elected' && time >= sinceMs);
  expect(elections, `elections of ${leader}`).not.toEqual([]);
  const electedMs = elections.at(-1)!.time;
  for (const node of nodes) {
    const arrivedMs = await waitFor(`${node} is in session with ${leader}`, 10_000, () => {
      const sessions = lab.log(node).filter(({ msg }) => msg.startsWith('in session'));
      return sessions.find(({ time, server }) => time >= electedMs && server === addressOf(leader))?.time;
    });
    measured.push(`${leader} elected: ${node} there after ${arrivedMs - electedMs} ms`);
    expect(arrivedMs - electedMs).toBeLessThan(agentLimitMs);
  }
}

/** Stops the process for 30 s from now; `over` resolves when it goes on. */
async function stall(role: 'etcd' | 'control-plane', machine: string): Promise<{ readonly over: Promise<void> }> {
  const { processes } = await lab.json(['lab', 'status', '--name', lab.name]);
  const { pid } = processes.find((one: { role: string; node: string }) => one.role === role && one.node === machine);
  process.kill(pid, 'SIGSTOP');
  const timeUp = Promise.withResolvers<void>();
  const wake = (): void => {
    timer.cancel();
    process.kill(pid, 'SIGCONT');
    timeUp.resolve();
  };
  const timer = systemClock.schedule(stallMs, wake);
  onTestFinished(wake);
  return { over: timeUp.promise };
}

describe('three control planes', () => {
  test('all serve the API and DNS, and ctl knows them all', async () => {
    await whole();
    expect(replicas.addresses).toEqual([2, 3, 4].map((last) => `${lab.subnet}.${last}:6443`));
    const list = await settled();
    expect(list.map(({ etcd }) => etcd).sort()).toEqual(['follower', 'follower', 'leader']);
    const shown = (await lab.check(['control-plane', 'list'])).trimEnd().split('\n').slice(1);
    expect(shown.map((line) => line.split(/ {2,}/)[0])).toEqual(controlPlanes);
    const { clusterIP } = (await lab.api.get('Service', 'steady')).spec;
    for (const last of [2, 3, 4]) {
      const asked = ['nslookup', 'steady.default.svc.cluster.local', `${lab.subnet}.${last}`];
      expect((await lab.exec('node-1', asked)).stdout).toContain(`Address: ${clusterIP}`);
    }
  });

  test('an agent that knows one replica, which does not lead, finds the leader through it', async () => {
    const leader = await replicas.leader();
    const node = await lab.addNodeAt(addressOf(others(leader)[0]!));
    expect(nodes).toContain(node);
    const servers = await waitFor(`${node} is in session`, 5000, () => {
      const sessions = lab.log(node).filter(({ msg }) => msg.startsWith('in session'));
      return sessions.length > 0 && sessions.map(({ server }) => server);
    });
    expect(servers).toEqual([addressOf(leader)]);
    steady = await waitFor('the steady pods are ready', 60_000, async () => {
      const ready = await lab.api.readyPods('app=steady');
      return ready.length === 4 && ready;
    });
    steadyProcesses = await identities(lab, workload);
    load = startLoad({ writers: replicas.writers });
    witness = witnessBindings(replicas.writers);
  });

  // It is started again, and leads again, or another one does: whoever is first.
  test('the leader killed: scheduling goes on, and the agents are there', async () => {
    const sinceMs = systemClock.nowMs();
    await killProgram(lab, 'control-plane', await replicas.leader());
    await schedules('leader killed');
    await whole();
    await agentsFollow(await replicas.leader(), sinceMs);
  });

  test('a replica that does not lead killed, and etcd members: the leader of etcd, and one that follows', async () => {
    const list = await settled();
    const leader = await replicas.leader();
    await killProgram(lab, 'control-plane', others(leader)[0]);
    await schedules('replica killed');
    await whole();
    for (const standing of ['leader', 'follower']) {
      await killProgram(lab, 'etcd', list.find(({ etcd }) => etcd === standing)!.name);
      await schedules(`etcd ${standing} killed`);
      await whole();
    }
  });

  test('stopped for 30 s each: the leader, the leader of etcd, and then a replica that does not lead', async () => {
    const list = await settled();
    const sinceMs = systemClock.nowMs();
    const leader = await replicas.leader();
    const first = await stall('control-plane', leader);
    await schedules('leader stopped');
    const next = await replicas.leader();
    expect(next).not.toBe(leader);
    await agentsFollow(next, sinceMs);
    const second = await stall('etcd', list.find(({ etcd }) => etcd === 'leader')!.name);
    await schedules('etcd leader stopped');
    const third = await stall('control-plane', controlPlanes.find((name) => name !== leader && name !== next)!);
    await schedules('replica stopped');
    await first.over;
    await schedules('leader of before awake');
    // It learns that it leads no more from its clock, or from the first write that it tries.
    await waitFor(`${leader} knows that it does not lead`, 5000, () =>
      lab.log(leader).some(({ msg, time }) => msg === 'no longer the leader' && time >= sinceMs + stallMs),
    );
    await Promise.all([second.over, third.over]);
    await whole();
    await schedules('all awake');
  });

  test('an etcd member that follows stopped for 30 s, the one beside the leader; the leader killed meanwhile', async () => {
    await settled();
    const leader = await replicas.leader();
    const { over } = await stall('etcd', leader);
    await schedules('etcd beside the leader stopped');
    const sinceMs = systemClock.nowMs();
    await killProgram(lab, 'control-plane', leader);
    await schedules('the leader there killed');
    await agentsFollow(await replicas.leader(), sinceMs);
    await over;
    await schedules('etcd awake');
  });

  test('the etcd member that follows beside no leader stopped for 30 s: so each of the three has been', async () => {
    const list = await settled();
    const third = list.find(({ leader, etcd }) => !leader && etcd === 'follower')!;
    const { over } = await stall('etcd', third.name);
    await schedules('etcd beside a follower stopped');
    await over;
    await schedules('all of etcd awake');
  });

  test('the machine of the leader lost, with its etcd member, and healed', async () => {
    await settled();
    const sinceMs = systemClock.nowMs();
    const leader = await replicas.leader();
    await lab.kill(leader);
    try {
      await schedules("leader's machine lost");
      await agentsFollow(await replicas.leader(), sinceMs);
    } finally {
      await lab.heal(leader);
    }
  });

  test('the machine of the leader cut off: it stops leading by itself, before another one begins', async () => {
    await settled();
    const sinceMs = systemClock.nowMs();
    const leader = await replicas.leader();
    await lab.partition(leader);
    try {
      await schedules("leader's machine cut off");
      const next = await replicas.leader();
      expect(next).not.toBe(leader);
      await agentsFollow(next, sinceMs);
      const at = (machine: string, message: string): number =>
        lab.log(machine).findLast(({ msg, time }) => msg === message && time >= sinceMs)!.time;
      expect(at(leader, 'no longer the leader')).toBeLessThan(at(next, 'elected'));
    } finally {
      await lab.heal(leader);
    }
    await whole();
  });

  test('replicas restarted one after another, as an upgrade does', async () => {
    for (const machine of controlPlanes) {
      await well();
      const [program] = await lab.processes('control-plane', machine);
      process.kill(program!.pid, 'SIGTERM');
      await schedules(`${machine} restarted`);
    }
    await whole();
  });

  test('one taken away for good: it ends and does not come back, and two go on without it', async () => {
    await well();
    const leader = await replicas.leader();
    const gone = others(leader)[0]!;
    expect(await lab.check(['control-plane', 'remove', gone])).toBe(`control-plane/${gone} removed\n`);
    await schedules(`${gone} removed`);
    await waitFor(`${gone} has ended`, 10_000, async () => {
      const said = programLog(lab.name, requireMachine(requireState(lab.name), gone), 20);
      return said.includes('was removed from its cluster') && (await lab.processes('etcd', gone)).length === 0;
    });
    const list = (await lab.json(['control-plane', 'list'])).items.map(({ name }: ControlPlaneInfo) => name);
    expect(list).toEqual(controlPlanes.filter((name) => name !== gone));
    await lab.kill(gone); // its supervisor starts it again and again
    await schedules(`${gone} off`);
    controlPlanes.splice(controlPlanes.indexOf(gone), 1);
  });

  test('and nothing of it was felt: no write lost, no pod twice, nothing moved or restarted', async () => {
    await load.stop();
    measured.push(`applies: ${load.acknowledged} acknowledged, ${load.unanswered} unanswered`);
    measured.push(`longest time without an answer to any: ${Math.round(load.longestSilenceMs)} ms`);
    console.log(measured.join('\n'));
    expect(load.acknowledged).toBeGreaterThan(500);
    expect(load.longestSilenceMs).toBeLessThan(limitMs + diskAllowanceMs(0));
    for (const machine of controlPlanes) {
      expect(lostWrites(load.ledger, await replicas.configMapsAt(addressOf(machine))), machine).toEqual([]);
    }

    await witness.stop();
    expect(witness.bound.size).toBeGreaterThanOrEqual(steady.length + probes);
    expect(witness.twice).toEqual([]);
    const pods = await replicas.list<Pod>('Pod');
    const addresses = pods.flatMap(({ status }) => status?.podIP ?? []);
    expect(new Set(addresses).size).toBe(addresses.length);
    const nodesOf = new Map<string, Set<string>>();
    for (const { podUid, node } of await podProcesses(lab)) {
      nodesOf.set(podUid, (nodesOf.get(podUid) ?? new Set()).add(node));
    }
    expect([...nodesOf].filter(([, seen]) => seen.size > 1)).toEqual([]);

    const facts = (list: readonly Pod[]) =>
      list
        .map(({ metadata, spec, status }) => [
          metadata.uid,
          spec.nodeName,
          status?.containerStatuses?.[0]?.restartCount,
        ])
        .sort();
    expect(facts(pods.filter(({ metadata }) => metadata.labels?.app === 'steady'))).toEqual(facts(steady));
    expect(await identities(lab, workload)).toEqual(expect.arrayContaining(steadyProcesses));
    const events = await replicas.list<Event>('Event');
    expect(events.filter(({ reason }) => reason === 'NodeNotReady').map(({ message }) => message)).toEqual([]);
  });
});
