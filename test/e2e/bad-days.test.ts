/** Bad days: images, commands, ports, disks and a registry that fail. The reason is where people look; nobody dies. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { conditionStatus } from '../../lib/model/conditions.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, on, pod, shellPod, sleeper } from './manifests.ts';
import { identities, programs } from './processes.ts';

let lab: Lab;
let alive: string[];

beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
});
afterAll(() => lab?.remove());

beforeEach(async () => {
  alive = await identities(lab, programs);
});
afterEach(async () => {
  expect(await identities(lab, programs)).toEqual(alive);
});

/** Why the pod's container waits, as "Reason: message". */
const waitingOf = ({ status }: Pod): string => {
  const { reason = '', message = '' } = status?.containerStatuses?.[0]?.state?.waiting ?? {};
  return `${reason}: ${message}`;
};

/** Waits for the words in the container's state and in an Event, and finds them in what ctl says. */
async function says(name: string, state: RegExp, event: RegExp): Promise<void> {
  await waitFor(`the state of ${name} matches ${state}`, 30_000, async () => {
    return state.test(waitingOf(await lab.api.get('Pod', name)));
  });
  await waitFor(`an event of ${name} matches ${event}`, 10_000, async () => {
    return (await lab.api.events(name)).some((one) => event.test(one));
  });
  const described = await lab.check(['describe', 'pod', name]);
  expect(described).toMatch(
    event.source.startsWith('^') ? new RegExp(event.source.slice(1).replace(': ', '.*')) : event,
  );
}

const isReady = async (name: string): Promise<boolean> => (await lab.api.readyPods(`app=${name}`)).length === 1;

describe('an image', () => {
  test('that does not exist', async () => {
    await lab.api.apply(pod('ghost', { containers: [sleeper({ image: 'ghost:1' })] }));
    await says(
      'ghost',
      /^(ErrImagePull|ImagePullBackOff|ImageNotFound): .*ghost:1/,
      /^Failed: .*ghost:1" not found in the registry/,
    );
    await waitFor('it backs off', 30_000, async () => {
      return (await lab.check(['get', 'pod', 'ghost'])).includes('ImagePullBackOff');
    });
  });

  test('whose digest is wrong', async () => {
    const image = `busybox@sha256:${'0'.repeat(64)}`;
    await lab.api.apply(pod('forged', { containers: [sleeper({ image })] }));
    await says('forged', /^(ErrImagePull|ImagePullBackOff|DigestMismatch|ImageNotFound): /, /^Failed: .*0000/);
  });

  test('whose name is none', async () => {
    const { exitCode, stderr } = await lab.ctl(['apply', '-f', '-'], {
      input: JSON.stringify(pod('odd', { containers: [sleeper({ image: 'UPPER case:1' })] })),
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('spec.containers[0].image');
  });

  test('in a registry that is down, which is pulled when it is back', async () => {
    await lab.stopProgram('rack');
    try {
      await lab.api.apply(pod('patient', { containers: [sleeper({ image: 'redis:7' })] }));
      await says(
        'patient',
        /^(ErrImagePull|ImagePullBackOff|RegistryUnavailable): .*registry cannot be reached/,
        /^Failed: .*registry cannot be reached/,
      );
      await lab.api.apply(pod('cached', { containers: [sleeper()], ...on('node-1') }));
    } finally {
      await lab.startProgram('rack');
    }
    await waitFor('it runs', 60_000, () => isReady('patient'));
    alive = await identities(lab, programs);
  });

  test('that a node has already needs no registry', async () => {
    for (const node of ['node-1', 'node-2']) await lab.api.apply(pod(`warm-${node}`, on(node)));
    await waitFor('both run', 30_000, async () => (await isReady('warm-node-1')) && (await isReady('warm-node-2')));
    await lab.stopProgram('rack');
    try {
      await lab.api.apply(deployment('offline', 4, { containers: [sleeper()] }));
      await waitFor('all run', 30_000, async () => (await lab.api.readyPods('app=offline')).length === 4);
    } finally {
      await lab.startProgram('rack');
    }
    await waitFor('the registry is back', 10_000, async () => (await lab.processes('registry')).length === 1);
    alive = await identities(lab, programs);
  });
});

describe('a container', () => {
  test('whose command is not in the image', async () => {
    await lab.api.apply(pod('lost', { containers: [sleeper({ command: ['/no/such/program'] })] }));
    await waitFor('it says so', 30_000, async () => {
      return (await lab.api.events('lost')).some((event) => /^Failed: .*\/no\/such\/program/.test(event));
    });
    const { status } = await lab.api.get('Pod', 'lost');
    const { state, lastState } = status!.containerStatuses![0]!;
    expect(JSON.stringify({ state, lastState })).toMatch(
      /RunContainerError|StartError|CrashLoopBackOff|ContainerCannotRun/,
    );
    expect(await lab.check(['describe', 'pod', 'lost'])).toContain('/no/such/program');
  });

  test('whose ConfigMap is missing, until it is there', async () => {
    const configMapKeyRef = { name: 'later', key: 'word' };
    const needy = sleeper({ env: [{ name: 'WORD', valueFrom: { configMapKeyRef } }] });
    await lab.api.apply(pod('needy', { containers: [needy] }));
    await says('needy', /CreateContainerConfigError: .*"?later"?/, /^Failed: .*later/);
    await lab.api.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'later', namespace: 'default' },
      data: { word: 'here' },
    });
    await waitFor('it runs', 30_000, () => isReady('needy'));
    expect(await lab.api.shell('needy', 'echo $WORD')).toBe('here');
  });

  test('whose volume cannot be mounted', async () => {
    const mounts = { volumeMounts: [{ name: 'keys', mountPath: '/keys' }] };
    await lab.api.apply(
      pod('keyless', { containers: [sleeper(mounts)], volumes: [{ name: 'keys', secret: { secretName: 'nowhere' } }] }),
    );
    await waitFor('it says so', 30_000, async () => {
      return (await lab.api.events('keyless')).some((event) => /^FailedMount: .*nowhere/.test(event));
    });
    expect(await lab.check(['describe', 'pod', 'keyless'])).toMatch(/FailedMount.*nowhere/);
  });

  test('that forks without end hits its limit, and nobody else feels it', async () => {
    const bomb = sleeper({
      command: ['sh', '-c', '(while :; do sleep 600 & done); echo enough; exec sleep infinity'],
      resources: { limits: { memory: '64Mi', pids: '50' } },
    });
    await lab.api.apply(pod('bomb', { containers: [bomb], ...on('node-1') }));
    await waitFor('it cannot fork', 30_000, async () => {
      expect(await lab.api.logs('bomb')).toContain('enough');
      return true;
    });
    expect((await lab.api.logs('bomb')).join()).toMatch(/cannot fork/i);
    const inPod = (await lab.processes('container-child', 'node-1')).length;
    expect(inPod).toBeGreaterThan(40);
    expect(inPod).toBeLessThan(70);
    await lab.api.apply(shellPod('neighbour', 'echo fine; sleep infinity', on('node-1')));
    await waitFor('a neighbour runs', 30_000, () => isReady('neighbour'));
    await lab.check(['delete', 'pod', 'bomb', 'neighbour']);
  });
});

describe('a place', () => {
  test('with a port that is taken: the pod waits and says node by node why', async () => {
    const port = sleeper({ ports: [{ containerPort: 80, hostPort: 8088 }] });
    await lab.api.apply(deployment('doors', 3, { containers: [port] }));
    const waiting = await waitFor('two run, one waits', 30_000, async () => {
      const pods = await lab.api.list('Pod', { selector: 'app=doors' });
      const running = (await lab.api.readyPods('app=doors')).length;
      return running === 2 && pods.find(({ spec }) => !spec.nodeName);
    });
    await waitFor('it says why', 10_000, async () => {
      return (await lab.api.events(waiting.metadata.name)).some((event) => {
        return /^FailedScheduling: 0\/2 nodes .*2 .*port/.test(event);
      });
    });
    expect(await lab.check(['describe', 'pod', waiting.metadata.name])).toMatch(/FailedScheduling.*0\/2 nodes/);
    const placed = await lab.api.readyPods('app=doors');
    await lab.check(['delete', 'pod', placed[0]!.metadata.name]);
    await waitFor('two run again, none of them the old one', 30_000, async () => {
      const ready = await lab.api.readyPods('app=doors');
      return ready.length === 2 && ready.every(({ metadata }) => metadata.uid !== placed[0]!.metadata.uid);
    });
    await lab.check(['delete', 'deployment', 'doors']);
  });

  test('that is too small, cordoned, or not the one that was asked for', async () => {
    const huge = sleeper({ resources: { requests: { memory: '4Ti' } } });
    await lab.api.apply(pod('huge', { containers: [huge] }));
    await lab.api.apply(pod('picky', { nodeSelector: { disk: 'ssd' } }));
    await lab.check(['cordon', 'node-2']);
    for (const [name, why] of [
      ['huge', /0\/2 nodes fit: .*insufficient memory/i],
      ['picky', /0\/2 nodes fit: .*(selector|label|affinity)/i],
    ] as const) {
      await waitFor(`${name} says why`, 10_000, async () =>
        (await lab.api.events(name)).some((event) => why.test(event)),
      );
      expect(conditionStatus((await lab.api.get('Pod', name)).status?.conditions, 'PodScheduled')).toBe('False');
    }
    await lab.api.apply(pod('cordoned', on('node-2')));
    await waitFor('it waits for the cordoned node', 10_000, async () => {
      return (await lab.api.events('cordoned')).some((event) => /cordoned|unschedulable/i.test(event));
    });
    await lab.check(['uncordon', 'node-2']);
    await waitFor('it runs', 20_000, () => isReady('cordoned'));
    await lab.check(['delete', 'pod', 'huge', 'picky', 'cordoned']);
  });
});

describe('a full disk of one node', () => {
  /** The node's data folder on a disk of 500 MB of its own, which the test fills and frees. */
  async function withSmallDisk(node: string): Promise<void> {
    await lab.stopProgram(node);
    const script = `set -e
      mkdir /tmp/small && mount -t tmpfs -o size=500m tmpfs /tmp/small
      cp -a /var/lib/gantry/. /tmp/small/ && mount --move /tmp/small /var/lib/gantry`;
    const moved = await lab.exec(node, ['sh', '-c', script]);
    expect(moved).toMatchObject({ exitCode: 0 });
    await lab.startProgram(node);
  }

  test('fails what needs room, with the reason; other nodes go on; freed, all runs', async () => {
    const node = await lab.addNode();
    await withSmallDisk(node);
    await lab.api.apply(pod('resident', on(node)));
    await waitFor(
      'the node works',
      60_000,
      async () => (await lab.api.isNodeReady(node)) && (await isReady('resident')),
    );
    alive = await identities(lab, programs);
    const resident = await identities(lab, ['container']);

    await lab.exec(node, ['sh', '-c', 'cat /dev/zero >/var/lib/gantry/filler']);
    const { stdout } = await lab.exec(node, ['df', '--output=avail', '/var/lib/gantry']);
    expect(Number(stdout.split('\n')[1])).toBeLessThan(64);
    await lab.api.apply(pod('hungry', { containers: [sleeper({ image: 'nginx:1' })], ...on(node) }));
    await waitFor('it says that there is no room', 60_000, async () => {
      const { status } = await lab.api.get('Pod', 'hungry');
      const words = [
        ...(await lab.api.events('hungry')),
        status?.message ?? '',
        ...(status?.conditions ?? []).map(({ message }) => message ?? ''),
      ];
      return words.find((one) => /no space|disk/i.test(one));
    });
    expect(await lab.check(['describe', 'pod', 'hungry'])).toMatch(/no space|disk/i);
    await waitFor('the node says so', 60_000, async () => {
      const { status } = await lab.api.get('Node', node);
      return conditionStatus(status?.conditions, 'DiskPressure') === 'True';
    });
    expect(await isReady('resident')).toBe(true);
    await lab.api.apply(pod('elsewhere', on('node-1')));
    await waitFor('another node goes on', 30_000, () => isReady('elsewhere'));
    expect(await identities(lab, programs)).toEqual(alive);

    await lab.exec(node, ['rm', '/var/lib/gantry/filler']);
    await waitFor('the node is well', 60_000, async () => {
      const { status } = await lab.api.get('Node', node);
      return conditionStatus(status?.conditions, 'DiskPressure') === 'False';
    });
    await waitFor('the pod runs', 60_000, () => isReady('hungry'));
    expect(await isReady('resident')).toBe(true);
    for (const one of resident) expect(await identities(lab, ['container'])).toContain(one);
  });
});
