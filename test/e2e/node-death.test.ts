/** A node dies, or is cut off: what it ran is replaced elsewhere, and when it returns nothing runs twice or is left. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cgroupRoot, listCgroups } from '../../deploy/lab/cgroups.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type Lab, type RunningCtl, startLab, waitFor } from './lab-fixture.ts';
import { deployment, echo, headless, on, pod, service, sleeper } from './manifests.ts';
import { containerProcess, identities, podProcesses, runInContainer } from './processes.ts';

let lab: Lab;

/** A lease is 3 s; the rest is for a busy machine. */
const notReadyWithinMs = 10_000;

const nameOf = ({ metadata }: Pod): string => metadata.name;
const podsOn = (node: string): Promise<Pod[]> => lab.api.list('Pod', { fields: `spec.nodeName=${node}` });

beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
  await lab.api.apply(deployment('echo', 6, echo()));
  await lab.api.apply(service('echo', 'echo'));
  await lab.api.apply(headless('all', 'echo'));
  await lab.api.apply(pod('client', on('node-1')));
  await waitFor('everything runs', 60_000, async () => {
    const [echoes, client] = [await lab.api.readyPods('app=echo'), await lab.api.readyPods('app=client')];
    return echoes.length === 6 && client.length === 1;
  });
});
afterAll(() => lab?.remove());

/** What a pod of another node gets from DNS for the headless service, sorted. */
async function resolved(): Promise<string[]> {
  const answer = await lab.api.shell('client', 'nslookup -type=a all.default.svc.cluster.local | sed 1,3d');
  return [...answer.matchAll(/Address: (\S+)/g)].map(([, ip]) => ip!).sort();
}

async function ipsOf(pods: Promise<Pod[]>): Promise<string[]> {
  return (await pods).map(({ status }) => status?.podIP ?? '').sort();
}

/** How long after `sinceMs` the condition came to hold. */
async function timed(what: string, sinceMs: number, condition: () => Promise<boolean>): Promise<number> {
  await waitFor(what, 30_000, condition);
  return systemClock.monotonicMs() - sinceMs;
}

/** From the moment a node is gone until the cluster has made up for it; the pods of the workload that it had. */
async function survives(node: string, takeAway: () => Promise<void>): Promise<Pod[]> {
  const lost = (await podsOn(node)).filter(({ metadata }) => metadata.labels?.app === 'echo');
  const lostIps = lost.map(({ status }) => status!.podIP!);
  expect(lost.length).toBe(2);
  const replicaWatch = await lab.api.watch('Pod', { selector: 'app=echo' });
  const goneMs = systemClock.monotonicMs();
  await takeAway();

  const notReadyMs = await timed('the node is NotReady', goneMs, async () => !(await lab.api.isNodeReady(node)));
  expect(notReadyMs).toBeLessThan(notReadyWithinMs);
  expect(notReadyMs).toBeGreaterThan(1_900); // one lost heartbeat does not condemn a node
  const correctedMs = await timed('endpoints are corrected', goneMs, async () => {
    return (await lab.api.endpoints('echo')).every((ip) => !lostIps.includes(ip));
  });
  expect(correctedMs - notReadyMs).toBeLessThan(2_000);
  await timed('DNS is corrected', goneMs, async () => (await resolved()).every((ip) => !lostIps.includes(ip)));
  const replacedMs = await timed('six are ready again, elsewhere', goneMs, async () => {
    const ready = await lab.api.readyPods('app=echo');
    return ready.length === 6 && ready.every(({ spec }) => spec.nodeName !== node);
  });
  await timed('DNS has the new ones', goneMs, async () => {
    return (await resolved()).join() === (await ipsOf(lab.api.readyPods('app=echo'))).join();
  });
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  console.log(`${node}: NotReady ${seconds(notReadyMs)} s, replaced ${seconds(replacedMs)} s`);

  const script = 'i=0; while [ $i -lt 20 ]; do wget -T 2 -qO- http://echo || echo FAILED; i=$((i + 1)); done';
  const answers = (await lab.api.shell('client', script)).split('\n');
  expect(answers).toHaveLength(20);
  expect(answers.filter((line) => line === 'FAILED' || lost.some((one) => line.includes(nameOf(one))))).toEqual([]);
  await replicaWatch.stop();
  // Nobody but the lost ones was touched.
  const deleted = replicaWatch.seen.filter(({ object }) => object.metadata.deletionTimestamp !== undefined);
  expect([...new Set(deleted.map(({ object }) => nameOf(object)))].sort()).toEqual(lost.map(nameOf).sort());
  return lost;
}

/** Where pods leave traces on a node, on its disk and in its kernel: place -> uids of the pods found there. */
async function remainsOn(node: string): Promise<Record<string, string[]>> {
  const data = lab.dataFolder(node);
  const uids = (text: string): string[] => [
    ...new Set(text.match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? []),
  ];
  const machine = async (script: string): Promise<string> => (await lab.exec(node, ['sh', '-c', script])).stdout;
  const folders = ['containers', 'pod-files', 'logs', 'pods', 'exits'];
  const onDisk = folders.map((folder) => [folder, uids(readdirSync(join(data, folder)).join(' '))] as const);
  return {
    ...Object.fromEntries(onDisk),
    processes: uids((await podProcesses(lab, node)).map(({ podUid }) => podUid).join(' ')),
    cgroups: uids(listCgroups(`${cgroupRoot}/${lab.name}/${node}`).join(' ')),
    mounts: uids(await machine('cat /proc/self/mountinfo')),
    runc: uids(await machine('ls /run/gantry/runc')),
    storage: uids(await machine('cat /var/lib/gantry/storage/overlay-containers/containers.json')),
  };
}

/** Exactly what the API says is on the node, and nothing else. */
async function isTidy(node: string): Promise<void> {
  await waitFor(`${node} holds its pods and nothing else`, 30_000, async () => {
    const pods = await podsOn(node);
    const uids = pods.map(({ metadata }) => metadata.uid!).sort();
    const { exits, mounts, ...everywhere } = await remainsOn(node);
    for (const [place, found] of Object.entries(everywhere)) expect(found.sort(), place).toEqual(uids);
    for (const uid of [...exits!, ...mounts!]) expect(uids).toContain(uid);
    const links = await lab.exec(node, ['ip', '-j', 'link', 'show', 'type', 'veth']);
    expect(JSON.parse(links.stdout)).toHaveLength(uids.length + 1); // and its own cable
    const { stdout } = await lab.exec(node, ['ip', '-j', 'route', 'show', 'scope', 'link']);
    const routes = (JSON.parse(stdout) as { dst: string }[]).map(({ dst }) => dst).filter((dst) => !dst.includes('/'));
    expect(routes.sort()).toEqual(pods.map(({ status }) => status!.podIP!).sort());
    return true;
  });
}

/** Every container of the lab belongs to a pod of the API, on the node where that says it runs, once. */
async function nothingRunsTwice(): Promise<void> {
  const running = (await podProcesses(lab)).filter(({ role }) => role === 'container');
  const pods = await lab.api.list('Pod', { namespace: '' });
  const wanted = pods.map(({ metadata, spec }) => `${metadata.uid} on ${spec.nodeName}`).sort();
  expect(running.map(({ podUid, node }) => `${podUid} on ${node}`).sort()).toEqual(wanted);
}

describe('a node that is killed', () => {
  let bare: Pod;
  let lost: Pod[];
  let told: RunningCtl;

  test('is NotReady after its lease; endpoints, DNS and replicas are made up for', async () => {
    await lab.api.apply(pod('bare', { ...on('node-3'), tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] }));
    await waitFor('the bare pod runs', 30_000, async () => (await lab.api.readyPods('app=bare')).length === 1);
    bare = await lab.api.get('Pod', 'bare');
    told = lab.start(['events', '-A', '-w']);
    await waitFor('the events so far are told', 10_000, () => told.stdout().includes('Pod/bare'));
    lost = await survives('node-3', async () => void (await lab.check(['lab', 'kill', 'node-3', '--name', lab.name])));
  });

  test('says why, in the node and in events', async () => {
    const described = await lab.check(['describe', 'node', 'node-3']);
    expect(described).toMatch(/Ready +Unknown/);
    expect(described).toContain('NodeNotReady');
    expect(await lab.check(['get', 'nodes'])).toMatch(/^node-3 +NotReady /m);
    for (const one of lost) expect((await lab.api.events(nameOf(one))).join()).toContain('node node-3 is lost');
  });

  test('is a story that ctl events -w tells in order', async () => {
    const gone = nameOf(lost[0]!);
    const ready = await lab.api.readyPods('app=echo');
    const newest = ready
      .map(({ metadata }) => metadata.creationTimestamp!)
      .toSorted()
      .at(-1);
    const made = ready.filter(({ metadata }) => metadata.creationTimestamp === newest);
    const name = nameOf(made[0]!);
    const story = [
      /NodeNotReady +Node\/node-3/,
      new RegExp(`TaintManagerEviction +Pod/${gone} `),
      new RegExp(`SuccessfulCreate .*${name}`),
      new RegExp(`Scheduled +Pod/${name} `),
      new RegExp(`Created +Pod/${name} `),
      new RegExp(`Started +Pod/${name} `),
    ];
    const places = (): number[] => story.map((part) => told.stdout().search(part));
    await waitFor('all of it is told', 10_000, () => places().every((place) => place >= 0));
    await told.end();
    expect(places()).toEqual(places().toSorted((a, b) => a - b));
  });

  test('leaves its pods in sight until it is back: nobody can say that they ended', async () => {
    const old = await podsOn('node-3');
    expect(old.map(nameOf).sort()).toEqual([...lost.map(nameOf), 'bare'].sort());
    expect((await lab.api.get('Pod', 'bare')).metadata.deletionTimestamp).toBeUndefined();
    expect(await lab.api.readyPods('app=bare')).toEqual([]);
    expect(await lab.processes('container', 'node-3')).toEqual([]);
  });

  test('returns Ready, drops what was taken from it, starts what it kept, and nothing is left', async () => {
    const others = await identities(lab, ['container']);
    await lab.check(['lab', 'heal', 'node-3', '--name', lab.name]);
    await waitFor('it is Ready', 30_000, () => lab.api.isNodeReady('node-3'));
    await waitFor('the lost pods are gone', 30_000, async () => {
      return (await lab.api.list('Pod', { selector: 'app=echo' })).every(
        (one) => !lost.map(nameOf).includes(nameOf(one)),
      );
    });
    const again = await waitFor('the pod that stayed runs again', 30_000, async () => {
      return (await lab.api.readyPods('app=bare'))[0];
    });
    expect(again.metadata.uid).toBe(bare.metadata.uid);
    expect(again.status?.podIP).toBe(bare.status?.podIP);
    await isTidy('node-3');
    await nothingRunsTwice();
    expect((await lab.api.list('Pod', { selector: 'app=echo' })).length).toBe(6);
    // Its return moved nothing.
    expect((await identities(lab, ['container'])).filter((one) => !one.includes(' node-3 '))).toEqual(others);
  });

  test('takes new pods, which reach the others and are reached', async () => {
    await lab.api.apply(deployment('late', 1, { ...echo(), ...on('node-3') }));
    const [late] = await waitFor('it runs', 30_000, async () => {
      const ready = await lab.api.readyPods('app=late');
      return ready.length === 1 && ready;
    });
    const url = `http://${late!.status!.podIP}:8080`;
    expect(await lab.api.shell('client', `wget -T 5 -qO- ${url}`)).toContain('"node":"node-3"');
    expect(await lab.api.shell(nameOf(late!), 'wget -T 5 -qO- http://echo')).toContain('"pod":"echo-');
    await lab.check(['delete', 'deployment/late', 'pod/bare']);
  });
});

describe('a node that is cut off', () => {
  let lost: Pod[];

  beforeAll(async () => {
    // Two on each again.
    await lab.check(['rollout', 'restart', 'deploy/echo']);
    await lab.check(['rollout', 'status', 'deploy/echo', '--timeout=60s']);
    await waitFor('the old ones are gone', 30_000, async () => {
      return (await lab.api.list('Pod', { selector: 'app=echo' })).length === 6;
    });
    await lab.api.apply(deployment('pinned', 1, { containers: [sleeper()], ...on('node-2') }));
    await waitFor('the pinned one runs', 30_000, async () => (await lab.api.readyPods('app=pinned')).length === 1);
  });

  test('is replaced like a dead one, while its pods go on serving their own side', async () => {
    const before = await identities(lab, ['container', 'pause']);
    lost = await survives('node-2', async () => {
      await lab.check(['lab', 'partition', 'node-2', '--name', lab.name]);
    });
    expect((await identities(lab, ['container', 'pause'])).filter((one) => one.includes(' node-2 '))).toEqual(
      before.filter((one) => one.includes(' node-2 ')),
    );
    const [one, other] = await Promise.all(lost.map(({ metadata }) => containerProcess(lab, metadata.uid!)));
    for (const [from, to] of [
      [one!, lost[1]!],
      [other!, lost[0]!],
    ] as const) {
      const said = await runInContainer(from, ['wget', '-T', '2', '-qO-', `http://${to.status?.podIP}:8080`]);
      expect(JSON.parse(said.stdout).pod).toBe(nameOf(to));
      const name = await runInContainer(from, ['nslookup', 'echo.default.svc.cluster.local']);
      expect(name.exitCode).toBe(0);
    }
  });

  test('what can run nowhere else waits and says why', async () => {
    const waiting = await waitFor('a replacement is pending', 10_000, async () => {
      const pods = await lab.api.list('Pod', { selector: 'app=pinned', fields: 'status.phase=Pending' });
      return pods.find(({ spec }) => !spec.nodeName);
    });
    const events = await waitFor('it says why', 10_000, async () => {
      const found = (await lab.api.events(nameOf(waiting))).filter((event) => event.startsWith('FailedScheduling'));
      return found.length > 0 && found;
    });
    expect(events.join()).toMatch(/0\/3 nodes/);
    expect(await lab.check(['get', 'pods', '-l', 'app=pinned'])).toContain('Pending');
  });

  test('drops on its return what was taken from it, and nothing runs twice', async () => {
    const agent = await identities(lab, ['node-agent']);
    const others = (await identities(lab, ['container'])).filter((one) => !one.includes(' node-2 '));
    await lab.check(['lab', 'heal', 'node-2', '--name', lab.name]);
    await waitFor('it is Ready', 30_000, () => lab.api.isNodeReady('node-2'));
    await waitFor('what was taken is gone', 30_000, async () => {
      const left = await lab.api.list('Pod');
      return left.every((one) => one.metadata.deletionTimestamp === undefined);
    });
    await waitFor('the pinned one runs', 30_000, async () => (await lab.api.readyPods('app=pinned')).length === 1);
    await isTidy('node-2');
    await nothingRunsTwice();
    expect(await identities(lab, ['node-agent'])).toEqual(agent);
    expect((await identities(lab, ['container'])).filter((one) => !one.includes(' node-2 '))).toEqual(others);
    for (const { metadata } of lost) {
      expect((await podProcesses(lab)).filter(({ podUid }) => podUid === metadata.uid)).toEqual([]);
    }
  });

  test('a moment without network is forgiven: nothing moves', async () => {
    const pods = (await lab.api.list('Pod')).map(({ metadata }) => metadata.uid).sort();
    const before = await identities(lab, ['container', 'pause', 'node-agent']);
    const watch = await lab.api.watch('Pod');
    await lab.partition('node-1');
    await systemClock.sleep(1_000);
    await lab.heal('node-1');
    // A pod that is placed there and runs is proof that the agent is in session again.
    await lab.api.apply(pod('proof', on('node-1')));
    await waitFor('the node works', 30_000, async () => (await lab.api.readyPods('app=proof')).length === 1);
    await watch.stop();
    const changed = watch.seen.filter(({ type, object }) => type !== 'ADDED' && nameOf(object) !== 'proof');
    expect(changed.map(({ type, object }) => `${type} ${nameOf(object)}`)).toEqual([]);
    await lab.check(['delete', 'pod', 'proof']);
    expect((await lab.api.list('Pod')).map(({ metadata }) => metadata.uid).sort()).toEqual(pods);
    expect(await identities(lab, ['container', 'pause', 'node-agent'])).toEqual(before);
  });
});
