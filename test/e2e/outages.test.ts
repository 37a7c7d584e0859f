/** The agent, the control plane or etcd dies: what runs goes on running, and what comes back changes nothing. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { isGantryError } from '../../lib/errors.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, echo, headless, on, pod, service, shellPod, sleeper } from './manifests.ts';
import { containerProcess, identities, killProgram, podProcesses, runInContainer, workload } from './processes.ts';

const nodes = ['node-1', 'node-2', 'node-3'];
let lab: Lab;

/** Longer than a node's lease: whoever would condemn nodes for a control plane's absence does it in this time. */
const outageMs = 5_000;

/** Every 0.1 s a name is looked up and a service address called; what fails is named, with its time in the log. */
const prober = (address: string): string => `while :; do
  nslookup -type=a all.default.svc.cluster.local >/tmp/dns 2>&1 || echo "FAILED dns $(tr '\\n' ' ' </tmp/dns)"
  wget -T 5 -qO- http://${address} >/tmp/web 2>&1 || echo "FAILED web $(tr '\\n' ' ' </tmp/web)"
  echo round
  sleep 0.1
done`;

beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
  await lab.api.apply(deployment('echo', 3, echo()));
  await lab.api.apply(service('echo', 'echo'));
  await lab.api.apply(headless('all', 'echo'));
  await waitFor('echo serves', 60_000, async () => (await lab.api.endpoints('echo')).length === 3);
  const { spec } = await lab.api.get('Service', 'echo');
  for (const node of nodes) await lab.api.apply(shellPod(`prober-${node}`, prober(spec.clusterIP!), on(node)));
  await waitFor('the probers run', 30_000, async () => {
    const logs = await Promise.all(nodes.map((node) => lab.api.logs(`prober-${node}`)));
    return logs.every((lines) => lines.includes('round'));
  });
});
afterAll(() => lab?.remove());

/** Name, uid, node and restarts of every pod. */
async function pods(): Promise<string[]> {
  const all = await lab.api.list('Pod', { namespace: '' });
  const restarts = ({ status }: Pod): number =>
    (status?.containerStatuses ?? []).reduce((sum, { restartCount = 0 }) => sum + restartCount, 0);
  return all.map((one) => `${one.metadata.name} ${one.metadata.uid} ${one.spec.nodeName} ${restarts(one)}`).sort();
}

/** Each node starts a new pod: its agent, the scheduler and the way between them work. */
async function everyNodeWorks(): Promise<void> {
  for (const node of nodes) {
    await waitFor(`a pod for ${node} is accepted`, 30_000, async () => {
      await lab.api.apply(pod(`proof-${node}`, on(node)));
      return true;
    });
  }
  for (const node of nodes) {
    await waitFor(`${node} starts a pod`, 30_000, async () => {
      return (await lab.api.readyPods(`app=proof-${node}`)).length === 1 && (await lab.api.isNodeReady(node));
    });
  }
  await lab.check(['delete', 'pod', ...nodes.map((node) => `proof-${node}`)]);
}

let podsBefore: string[];
let processesBefore: string[];
let nodesBefore: (string | undefined)[];
let startedMs: number;
/** A node's DNS is served by its agent: while that is away, resolvers there wait and ask again. */
let withoutAgent: string | undefined;

/** When each node's Ready condition last changed: a flap that nobody saw leaves its time here. */
async function readySince(): Promise<(string | undefined)[]> {
  const all = await lab.api.list('Node');
  return all.map(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return `${metadata.name} ${ready?.status} ${ready?.lastTransitionTime}`;
  });
}

describe('one program after the other', () => {
  beforeEach(async () => {
    podsBefore = await pods();
    processesBefore = await identities(lab, workload);
    nodesBefore = await readySince();
    startedMs = systemClock.nowMs();
  });

  /** After every outage: the same pods in the same processes, and no request or look-up of theirs failed. */
  afterEach(async () => {
    await everyNodeWorks();
    expect(await pods()).toEqual(podsBefore);
    expect(await identities(lab, workload)).toEqual(processesBefore);
    expect(await readySince()).toEqual(nodesBefore);
    for (const node of nodes) {
      const during = await waitFor(`the prober on ${node} goes on`, 20_000, async () => {
        const lines = await lab.api.logs(`prober-${node}`, { timestamps: true });
        const found = lines.filter((line) => Date.parse(line.split(' ')[0]!) >= startedMs);
        return found.filter((line) => line.endsWith(' round')).length > 5 && found;
      });
      const failed = during.filter((line) => line.includes('FAILED'));
      expect(failed.filter((line) => node !== withoutAgent || line.includes('FAILED web'))).toEqual([]);
    }
    withoutAgent = undefined;
  });

  describe('the agent', () => {
    test('killed, it finds its containers running and goes on', async () => {
      withoutAgent = 'node-1';
      const old = await killProgram(lab, 'node-agent', 'node-1');
      await waitFor('another agent runs', 10_000, async () => {
        const [agent] = await lab.processes('node-agent', 'node-1');
        return agent !== undefined && agent.pid !== old.pid;
      });
      const [onNode] = (await lab.api.list('Pod', { fields: 'spec.nodeName=node-1' })).filter(
        ({ metadata }) => metadata.labels?.app === 'echo',
      );
      await waitFor('exec goes through it', 20_000, async () => {
        return (await lab.api.shell(onNode!.metadata.name, 'echo here')) === 'here';
      });
    });

    test('away while a container ends, it sees it when it is back', async () => {
      withoutAgent = 'node-3';
      await lab.api.apply(pod('mortal', { ...on('node-3'), restartPolicy: 'Never' }));
      const { metadata } = await waitFor('it runs', 30_000, async () => (await lab.api.readyPods('app=mortal'))[0]);
      const container = await containerProcess(lab, metadata.uid!);
      await killProgram(lab, 'node-agent', 'node-3');
      process.kill(container.pid, 'SIGKILL');
      const ended = await waitFor('it is reported', 20_000, async () => {
        const found = await lab.api.get('Pod', 'mortal');
        return found.status?.phase === 'Failed' && found;
      });
      expect(ended.metadata.uid).toBe(metadata.uid);
      expect(ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(137);
      await lab.check(['delete', 'pod', 'mortal']);
    });
  });

  describe('the control plane', () => {
    test('killed, it comes back by itself, and a watch that was open goes on', async () => {
      const watch = lab.start(['get', 'configmaps', '--watch']);
      await lab.api.apply(ledgerEntry('before'));
      await waitFor('the watch tells', 10_000, () => watch.stdout().includes('before '));
      const old = await killProgram(lab, 'control-plane');
      await waitFor('another one answers', 20_000, async () => {
        const [program] = await lab.processes('control-plane');
        return program !== undefined && program.pid !== old.pid && (await lab.api.list('Node')).length === 3;
      });
      await lab.api.apply(ledgerEntry('after'));
      await waitFor('the watch goes on', 10_000, () => watch.stdout().includes('after '));
      await watch.end();
      expect(watch.stdout().match(/^before /gm)).toHaveLength(1);
      await lab.check(['delete', 'configmaps', '-l', 'app=ledger']);
    });

    test('away for longer than a lease, pods, DNS and services go on; nothing is moved when it is back', async () => {
      const prober = await containerProcess(lab, (await lab.api.get('Pod', 'prober-node-2')).metadata.uid!);
      const [etcd] = await lab.processes('etcd');
      await lab.stopProgram('cp-1');
      const awayMs = systemClock.monotonicMs();
      const refused = await lab.ctl(['get', 'pods']);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toContain('The connection to the server');
      while (systemClock.monotonicMs() - awayMs < outageMs) {
        const name = await runInContainer(prober, ['nslookup', '-type=a', 'all.default.svc.cluster.local']);
        expect([name.exitCode, name.stdout.match(/Address: 10\.42\./g)?.length]).toEqual([0, 3]);
        expect((await runInContainer(prober, ['wget', '-T', '2', '-qO-', 'http://echo'])).stdout).toContain(
          '"pod":"echo-',
        );
      }
      expect(await lab.processes('control-plane')).toEqual([]);
      await lab.startProgram('cp-1');
      await waitFor('it answers again', 20_000, async () => (await lab.api.list('Node')).length === 3);
      // It found its etcd running and left it alone, or started another one.
      expect(await lab.processes('etcd')).toHaveLength(1);
      expect(etcd).toBeDefined();
    });

    test('a container that ends while it is away is restarted by its node alone', async () => {
      const guarded = shellPod(
        'mortal',
        'test -e /work/again || { touch /work/again; sleep 2; exit 1; }; sleep infinity',
        {
          ...on('node-1'),
          volumes: [{ name: 'work', emptyDir: {} }],
        },
      );
      guarded.spec.containers[0]!.volumeMounts = [{ name: 'work', mountPath: '/work' }];
      await lab.api.apply(guarded);
      const { metadata } = await waitFor('it runs', 30_000, async () => (await lab.api.readyPods('app=mortal'))[0]);
      const first = await containerProcess(lab, metadata.uid!);
      await lab.stopProgram('cp-1');
      await waitFor('its second container runs', 20_000, async () => {
        const second = await containerProcess(lab, metadata.uid!);
        return second.pid !== first.pid;
      });
      await lab.startProgram('cp-1');
      await waitFor('the restart is counted', 20_000, async () => {
        const [found] = await lab.api.readyPods('app=mortal');
        return found?.status?.containerStatuses?.[0]?.restartCount === 1 && found.metadata.uid === metadata.uid;
      });
      await lab.check(['delete', 'pod', 'mortal']);
    });
  });

  describe('etcd', () => {
    test('killed, it comes back by itself; watches go on; what was acknowledged is there', async () => {
      const watch = await lab.api.watch('ConfigMap');
      const acknowledged: string[] = [];
      const old = await killAmidWrites(acknowledged);
      const [now] = await lab.processes('etcd');
      expect(now?.pid).not.toBe(old);

      const stored = (await lab.api.list('ConfigMap')).map(({ metadata }) => metadata.name);
      expect(acknowledged.filter((name) => !stored.includes(name))).toEqual([]);
      await waitFor('the watch tells all of them', 20_000, () => {
        const told = new Set(watch.seen.map(({ object }) => object.metadata.name));
        return acknowledged.every((name) => told.has(name));
      });
      await watch.stop();
      const added = watch.seen.filter(({ type }) => type === 'ADDED').map(({ object }) => object.metadata.name);
      expect(new Set(added).size).toBe(added.length);
      await lab.check(['delete', 'configmaps', '-l', 'app=ledger']);
    });

    test('away for longer than a lease, everything goes on, writes are refused with a reason, then work', async () => {
      const awayMs = systemClock.monotonicMs();
      const killed = new Set<number>();
      const refusals: unknown[] = [];
      while (systemClock.monotonicMs() - awayMs < outageMs) {
        for (const { pid } of await lab.processes('etcd')) {
          process.kill(pid, 'SIGKILL');
          killed.add(pid);
        }
        await lab.api.cluster
          .Apply({ object: { configMap: ledgerEntry('while-away') } }, { deadlineMs: 1_000 })
          .catch((error) => refusals.push(error));
      }
      expect(killed.size).toBeGreaterThan(1);
      expect(refusals.length).toBeGreaterThan(0);
      for (const error of refusals) {
        expect(['unavailable', 'deadlineExceeded'].some((code) => isGantryError(error, code as 'unavailable'))).toBe(
          true,
        );
      }
      await waitFor('writes work again', 30_000, async () => {
        await lab.api.apply(ledgerEntry('after'));
        return true;
      });
      await lab.check(['delete', 'configmaps', '-l', 'app=ledger']);
    });

    test('killed together with the control plane, both come back, and nothing has moved', async () => {
      const [etcd, controlPlane] = [await killProgram(lab, 'etcd'), await killProgram(lab, 'control-plane')];
      await waitFor('the API answers', 30_000, async () => (await lab.api.list('Node')).length === 3);
      const [newEtcd] = await lab.processes('etcd');
      const [newControlPlane] = await lab.processes('control-plane');
      expect([newEtcd?.pid === etcd.pid, newControlPlane?.pid === controlPlane.pid]).toEqual([false, false]);
    });
  });
});

function ledgerEntry(name: string) {
  return {
    apiVersion: 'v1' as const,
    kind: 'ConfigMap' as const,
    metadata: { name, namespace: 'default', labels: { app: 'ledger' } },
    data: { name },
  };
}

/** Writes one object after the other, kills etcd in their midst, goes on until writes succeed again. */
async function killAmidWrites(acknowledged: string[]): Promise<number> {
  let killed = 0;
  let afterwards = 0;
  for (let number = 0; afterwards < 20; number += 1) {
    const name = `entry-${number}`;
    if (acknowledged.length === 40 && killed === 0) {
      // Killed while the write is under way.
      const write = lab.api.apply(ledgerEntry(name)).then(
        () => acknowledged.push(name),
        () => 0,
      );
      killed = (await killProgram(lab, 'etcd')).pid;
      await write;
      continue;
    }
    try {
      await lab.api.apply(ledgerEntry(name));
      acknowledged.push(name);
      if (killed !== 0) afterwards += 1;
    } catch (error) {
      if (killed === 0) throw error;
      await systemClock.sleep(50);
    }
    if (number > 2_000) throw new Error('writes did not succeed again');
  }
  return killed;
}

/** Last, and in a lab of its own: so many deaths in a row cost the node its lease, and its pods move. */
describe('an agent that is killed again and again while pods start', () => {
  const crowd = 24;
  let small: Lab;
  beforeAll(async () => {
    small = await startLab({ nodes: 1 });
  });
  afterAll(() => small?.remove());

  test('leaves each pod once, and nothing else', async () => {
    await small.api.apply(deployment('crowd', crowd, { containers: [sleeper()] }));
    const killed: number[] = [];
    await waitFor('four agents have died at work', 60_000, async () => {
      const [agent] = await small.processes('node-agent');
      if (!agent || killed.includes(agent.pid)) return false;
      const begun = (await podProcesses(small)).length;
      if (begun <= 2 * killed.length) return false;
      process.kill(agent.pid, 'SIGKILL');
      killed.push(agent.pid);
      return killed.length === 4;
    });
    await waitFor('all run', 60_000, async () => (await small.api.readyPods('app=crowd')).length === crowd);
    await waitFor('each runs once', 30_000, async () => {
      const uids = (await small.api.list('Pod')).map(({ metadata }) => metadata.uid!).sort();
      const found = await podProcesses(small);
      for (const role of ['container', 'pause']) {
        expect(
          found
            .filter((one) => one.role === role)
            .map(({ podUid }) => podUid)
            .sort(),
        ).toEqual(uids);
      }
      return uids.length === crowd;
    });
  });

  test('finds all of them after a last death, and loses none', async () => {
    const before = await identities(small, workload);
    const eventsBefore = (await small.api.events('node-1')).length;
    const old = await killProgram(small, 'node-agent');
    await small.api.apply(pod('proof'));
    await waitFor('another agent works', 30_000, async () => (await small.api.readyPods('app=proof')).length === 1);
    expect((await small.processes('node-agent'))[0]?.pid).not.toBe(old.pid);
    await small.check(['delete', 'pod', 'proof']);
    expect(await identities(small, workload)).toEqual(before);
    const events = await small.api.events('node-1');
    expect(events).toContainEqual(expect.stringContaining('NodeReady: '));
    expect(events.slice(eventsBefore).filter((event) => event.startsWith('NodeNotReady'))).toEqual([]);
  });

  test('takes all of them down when it is told to', async () => {
    await small.check(['delete', 'deployment', 'crowd']);
    await waitFor('nothing is left', 30_000, async () => {
      const shims = await small.processes('shim');
      return (await podProcesses(small)).length === 0 && shims.length === 0;
    });
  });
});
