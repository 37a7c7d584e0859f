/** The sample on three nodes: what a newcomer does with it, through ctl, and what its pods see of one another. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloneFolder } from '../../deploy/lab/state.ts';
import type { Pod } from '../../proto/gen/types.ts';
import { host, type Lab, readyPods, startLab, waitFor } from './lab-fixture.ts';
import { headless, service } from './manifests.ts';

const nodes = ['node-1', 'node-2', 'node-3'];
let lab: Lab;
let client: string;
let echoes: Pod[];

interface Answer {
  readonly pod: string;
  readonly ip: string;
  readonly node: string;
}

/** What the echo server at this URL says to the client pod, `count` connections one after the other. */
async function ask(url: string, count = 1): Promise<Answer[]> {
  const script = `i=0; while [ $i -lt ${count} ]; do wget -T 5 -qO- ${url} || exit 1; i=$((i + 1)); done`;
  const output = await lab.api.shell(client, script);
  return output.split('\n').map((line) => JSON.parse(line));
}

/** The last section of nslookup's output: the answer, as it prints it. */
const lookup = (name: string, type = 'a'): Promise<string> =>
  lab.api.shell(client, `nslookup -type=${type} ${name} | sed 1,3d`);

/** Addresses in the answer, sorted. */
const addresses = (answer: string): string[] => [...answer.matchAll(/Address: (\S+)/g)].map(([, ip]) => ip!).sort();

const podIps = (): string[] => echoes.map(({ status }) => status!.podIP!).sort();

beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
  const applied = await lab.check(['apply', '-f', join(cloneFolder, 'examples/app.yaml')]);
  expect(applied.trim().split('\n')).toEqual([
    'deployment.apps/echo created',
    'service/echo created',
    'deployment.apps/redis created',
    'service/redis created',
    'deployment.apps/client created',
  ]);
  for (const name of ['echo', 'redis', 'client']) {
    const { stdout } = await lab.ctl(['rollout', 'status', `deploy/${name}`, '--timeout=60s']);
    expect(stdout).toContain(`deployment "${name}" successfully rolled out`);
  }
  client = (await lab.api.readyPods('app=client'))[0]!.metadata.name;
  echoes = await lab.api.readyPods('app=echo');
});
afterAll(() => lab?.remove());

describe('the sample', () => {
  test('has its three pods on three nodes, each with an address of its own', () => {
    expect(echoes.map(({ spec }) => spec.nodeName).sort()).toEqual(nodes);
    expect(new Set(podIps()).size).toBe(3);
    for (const pod of echoes) expect(pod.status?.hostIP).toBe(`${lab.subnet}.1${pod.spec.nodeName?.slice(-1)}`);
  });

  test('applied again is unchanged', async () => {
    const again = await lab.check(['apply', '-f', join(cloneFolder, 'examples/app.yaml')]);
    expect(
      again
        .trim()
        .split('\n')
        .every((line) => line.endsWith(' unchanged')),
    ).toBe(true);
    expect(await lab.check(['apply', '-f', join(cloneFolder, 'examples/app.yaml'), '--dry-run=server'])).toContain(
      'dry run',
    );
  });

  test('answers by its name in DNS, all three in turn, also from other nodes', async () => {
    const answers = await ask('http://echo.default.svc.cluster.local', 30);
    expect([...new Set(answers.map(({ node }) => node))].sort()).toEqual(nodes);
    const known = new Set(echoes.map(({ metadata }) => metadata.name));
    expect(answers.filter(({ pod }) => !known.has(pod))).toEqual([]);
  });

  test('answers by its short name, by its service address and on localhost of a pod', async () => {
    expect(await ask('http://echo')).toHaveLength(1);
    expect(await ask('http://echo.default')).toHaveLength(1);
    const { spec } = await lab.api.get('Service', 'echo');
    expect(await ask(`http://${spec.clusterIP}`)).toHaveLength(1);
    const [first] = echoes;
    const inside = JSON.parse(await lab.api.shell(first!.metadata.name, 'wget -qO- http://127.0.0.1:8080'));
    expect(inside).toEqual({
      pod: first!.metadata.name,
      ip: first!.status!.podIP,
      node: first!.spec.nodeName,
    });
  });

  test('every pod reaches every pod and itself, through the service too', async () => {
    for (const from of echoes) {
      for (const to of echoes) {
        const said = await lab.api.shell(from.metadata.name, `wget -T 5 -qO- http://${to.status!.podIP}:8080`);
        expect(JSON.parse(said).pod).toBe(to.metadata.name);
      }
      const script = 'i=0; while [ $i -lt 12 ]; do wget -T 5 -qO- http://echo; i=$((i + 1)); done';
      const said = await lab.api.shell(from.metadata.name, script);
      expect(said.split('\n')).toHaveLength(12);
    }
  });

  test('redis keeps what another pod writes, over TCP', async () => {
    const redis = (await lab.api.readyPods('app=redis'))[0]!.metadata.name;
    await lab.api.shell(client, "printf 'SET crane up\\r\\nQUIT\\r\\n' | nc redis 6379");
    expect(await lab.api.shell(redis, 'redis-cli GET crane')).toBe('up');
  });

  test('a pod reaches the outside through its node, which lends it its address', async () => {
    expect(await lab.api.shell(client, `wget -T 5 -qO- http://${lab.subnet}.1:5000/v2/`)).toBe('{}');
    const peer = Promise.withResolvers<string | undefined>();
    const outside = createServer((socket) => {
      peer.resolve(socket.remoteAddress);
      socket.end('hello\n');
    });
    await new Promise<void>((listening) => outside.listen(0, `${lab.subnet}.254`, listening));
    try {
      const { port } = outside.address() as AddressInfo;
      expect(await lab.api.shell(client, `nc ${lab.subnet}.254 ${port} </dev/null`)).toBe('hello');
      expect(await peer.promise).toBe((await lab.api.get('Pod', client)).status?.hostIP);
    } finally {
      outside.close();
    }
  });
});

describe('services', () => {
  test('a NodePort answers at every node, from outside the cluster', async () => {
    await lab.api.apply(service('door', 'echo', { type: 'NodePort' }));
    const { spec } = await lab.api.get('Service', 'door');
    const port = spec.ports?.[0]?.nodePort;
    expect(port).toBeGreaterThanOrEqual(30_000);
    for (const number of [1, 2, 3]) {
      const url = `http://${lab.subnet}.${10 + number}:${port}/`;
      const answer = await waitFor(`${url} answers`, 10_000, async () => {
        const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
        return (await response.json()) as Answer;
      });
      expect(nodes).toContain(answer.node);
    }
    await lab.check(['delete', 'service', 'door']);
    await waitFor('the port is closed', 10_000, async () => {
      const response = await fetch(`http://${lab.subnet}.11:${port}/`, { signal: AbortSignal.timeout(500) }).catch(
        () => undefined,
      );
      return response === undefined;
    });
  });

  test('only ready pods are endpoints, and a pod that is deleted leaves', async () => {
    expect(await lab.api.endpoints('echo')).toEqual(podIps());
    const described = await lab.check(['describe', 'service', 'echo']);
    for (const ip of podIps()) expect(described).toContain(`${ip}:8080`);
  });
});

describe('DNS, asked with real packets from a pod', () => {
  beforeAll(async () => {
    await lab.api.apply(headless('all', 'echo'));
    await lab.api.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'elsewhere', namespace: 'default' },
      spec: { type: 'ExternalName', externalName: 'echo.default.svc.cluster.local' },
    });
    await waitFor('the new services are known', 10_000, async () => {
      await lookup('elsewhere.default.svc.cluster.local', 'cname');
      return addresses(await lookup('all.default.svc.cluster.local')).length === 3;
    });
  });

  test('A: the service address, or every pod of a headless service', async () => {
    const { spec } = await lab.api.get('Service', 'echo');
    expect(addresses(await lookup('echo.default.svc.cluster.local'))).toEqual([spec.clusterIP]);
    expect(addresses(await lookup('all.default.svc.cluster.local'))).toEqual(podIps());
  });

  test('SRV: port and target, and each target resolves', async () => {
    expect(await lookup('_http._tcp.echo.default.svc.cluster.local', 'srv')).toMatch(
      /service = \d+ \d+ 80 echo\.default\.svc\.cluster\.local/,
    );
    const answer = await lookup('_http._tcp.all.default.svc.cluster.local', 'srv');
    const targets = [...answer.matchAll(/service = \d+ \d+ 8080 (\S+)/g)].map(([, target]) => target!);
    expect(targets).toHaveLength(3);
    const resolved: string[] = [];
    for (const target of targets) resolved.push(...addresses(await lookup(target)));
    expect(resolved.sort()).toEqual(podIps());
  });

  test('PTR: from the service address and from a pod of a headless service', async () => {
    const { spec } = await lab.api.get('Service', 'echo');
    const reverse = (ip: string) => `${ip.split('.').reverse().join('.')}.in-addr.arpa`;
    expect(await lookup(reverse(spec.clusterIP!), 'ptr')).toContain('name = echo.default.svc.cluster.local');
    const [ip] = podIps();
    expect(await lookup(reverse(ip!), 'ptr')).toContain(
      `name = ${ip!.replaceAll('.', '-')}.all.default.svc.cluster.local`,
    );
  });

  test('TXT: the version of the specification; CNAME: an external name', async () => {
    expect(await lookup('dns-version.cluster.local', 'txt')).toContain('"1.1.0"');
    expect(await lookup('elsewhere.default.svc.cluster.local', 'cname')).toContain(
      'canonical name = echo.default.svc.cluster.local',
    );
    expect(await ask('http://elsewhere')).toHaveLength(1);
  });

  test('a name that is not there is NXDOMAIN, from a pod and from the control plane', async () => {
    const { exitCode, stdout, stderr } = await lab.api.exec(client, ['nslookup', 'nothing.default.svc.cluster.local']);
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toContain('NXDOMAIN');
    const dig = ['dig', '+time=2', '+tries=2', `@${lab.subnet}.2`];
    expect((await host.exec.run([...dig, 'nothing.default.svc.cluster.local'])).stdout).toContain('status: NXDOMAIN');
    const { spec } = await lab.api.get('Service', 'echo');
    const fromControlPlane = await host.exec.run([...dig, '+short', 'echo.default.svc.cluster.local']);
    expect(fromControlPlane.stdout.trim()).toBe(spec.clusterIP);
  });

  test("a pod's resolver searches its namespace, at the cluster's DNS address", async () => {
    const config = await lab.api.shell(client, 'cat /etc/resolv.conf');
    expect(config).toContain('nameserver 10.43.0.10');
    expect(config).toContain('search default.svc.cluster.local svc.cluster.local cluster.local');
    expect(config).toContain('ndots:5');
  });

  test('ctl dns says what a name is and where the answer comes from', async () => {
    const said = await lab.check(['dns', 'all.default.svc.cluster.local']);
    for (const pod of echoes) {
      expect(said).toContain(pod.status!.podIP);
      expect(said).toContain(pod.metadata.name);
    }
    expect((await lab.ctl(['dns', 'nothing.default.svc.cluster.local'])).exitCode).toBe(1);
  });
});

describe('ctl', () => {
  test('get prints tables with the columns of kubectl', async () => {
    const header = async (...args: string[]) => (await lab.check(['get', ...args])).split('\n')[0]!.split(/\s{2,}/);
    expect((await header('nodes')).slice(0, 5)).toEqual(['NAME', 'STATUS', 'ROLES', 'AGE', 'VERSION']);
    expect(await header('pods')).toEqual(['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE']);
    expect((await header('pods', '-o', 'wide')).slice(0, 7)).toEqual([
      ...['NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'IP', 'NODE'],
    ]);
    expect(await header('deployments')).toEqual(['NAME', 'READY', 'UP-TO-DATE', 'AVAILABLE', 'AGE']);
    expect(await header('services')).toEqual(['NAME', 'TYPE', 'CLUSTER-IP', 'EXTERNAL-IP', 'PORT(S)', 'AGE']);
    expect((await header('events'))[0]).toBe('LAST SEEN');
    expect((await header('pods', '-A'))[0]).toBe('NAMESPACE');
  });

  test('get tells the truth about nodes, deployments and everything at once', async () => {
    const table = await lab.check(['get', 'nodes', '--no-headers']);
    for (const name of nodes) expect(table).toMatch(new RegExp(`^${name} +Ready `, 'm'));
    expect(await lab.check(['get', 'deploy', 'echo'])).toMatch(/^echo +3\/3 +3 +3 /m);
    const all = await lab.check(['get', 'all', '-o', 'name']);
    for (const { metadata } of echoes) expect(all).toContain(`pod/${metadata.name}\n`);
    expect(all).toMatch(/^deployment\.apps\/echo$/m);
    expect(all).toMatch(/^replicaset\.apps\/echo-/m);
    expect(all).toMatch(/^service\/echo$/m);
  });

  test("-o json is Kubernetes' form: a List for several, the object for one", async () => {
    const list = await lab.json(['get', 'pods', '-l', 'app=echo']);
    expect(list).toMatchObject({ apiVersion: 'v1', kind: 'List' });
    expect(list.items).toHaveLength(3);
    expect(await readyPods(lab, 'app=echo')).toHaveLength(3);
    const one = await lab.json(['get', 'deployment', 'echo']);
    expect(one).toMatchObject({ apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 3 } });
    expect(await lab.check(['get', 'deployment/echo', '-o', 'yaml'])).toMatch(/^kind: Deployment$/m);
  });

  test('what does not exist is an error with exit status 1', async () => {
    const missing = await lab.ctl(['get', 'pod', 'nobody']);
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toContain('Error from server (NotFound): pods "nobody" not found');
    const kind = await lab.ctl(['get', 'unicorns']);
    expect(kind.exitCode).toBe(1);
    expect(kind.stderr).toContain('doesn\'t have a resource type "unicorns"');
    const none = await lab.ctl(['get', 'pods', '-l', 'app=nobody']);
    expect([none.exitCode, none.stdout]).toEqual([0, '']);
    expect(none.stderr).toContain('No resources found in default namespace.');
  });

  test('describe tells the state, the node and the events of a pod', async () => {
    const [first] = echoes;
    const text = await lab.check(['describe', 'pod', first!.metadata.name]);
    expect(text).toMatch(new RegExp(`^Node: +${first!.spec.nodeName}/`, 'm'));
    expect(text).toMatch(/State: +Running/);
    for (const reason of ['Scheduled', 'Pulled', 'Created', 'Started']) expect(text).toContain(` ${reason} `);
    expect(await lab.check(['describe', 'deploy', 'echo'])).toContain('3 desired | 3 updated | 3 total | 3 available');
    expect(await lab.check(['describe', 'node', 'node-1'])).toMatch(/Ready +True/);
  });

  test('exec passes output, input and exit status', async () => {
    expect(await lab.check(['exec', 'deploy/client', '--', 'echo', 'hello'])).toBe('hello\n');
    const failed = await lab.ctl(['exec', client, '--', 'sh', '-c', 'echo sorry >&2; exit 7']);
    expect(failed.exitCode).toBe(7);
    expect(failed.stderr).toContain('sorry\n');
    expect(failed.stderr).toContain('command terminated with exit code 7');
    const input = 'a line\n'.repeat(20_000);
    expect(await lab.check(['exec', '-i', client, '--', 'wc', '-c'], { input })).toBe(`${input.length}\n`);
    const missing = await lab.ctl(['exec', client, '--', 'no-such-program']);
    expect([missing.exitCode > 0, missing.stderr.includes('no-such-program')]).toEqual([true, true]);
    const nobody = await lab.ctl(['exec', 'nobody', '--', 'true']);
    expect([nobody.exitCode, nobody.stderr.includes('NotFound')]).toEqual([1, true]);
  });

  test('exec -it gives a terminal', async () => {
    const ctl = `${join(cloneFolder, 'cli/ctl')} --config ${lab.config} exec -it ${client} -- sh`;
    // `script` is the terminal in which a person would sit.
    const { stdout } = await host.exec.run(['script', '-qec', ctl, '/dev/null'], { input: 'tty; stty size; exit 3\n' });
    expect(stdout).toContain('/dev/pts/');
    expect(stdout).toContain('command terminated with exit code 3');
  });

  test('lab tells its processes, runs commands on machines and adds one', async () => {
    const named = ['--name', lab.name];
    const { processes } = await lab.json(['lab', 'status', ...named]);
    for (const role of ['etcd', 'control-plane', 'node-agent', 'registry', 'container']) {
      const one = processes.find((process: { role: string }) => process.role === role);
      const stat = readFileSync(`/proc/${one.pid}/stat`, 'utf8');
      expect(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]).toBe(String(one.startTime));
    }
    expect(await lab.check(['lab', 'exec', ...named, 'node-2', '--', 'hostname'])).toBe('node-2\n');
    const failed = await lab.ctl(['lab', 'exec', ...named, 'node-2', '--', 'sh', '-c', 'exit 9']);
    expect(failed.exitCode).toBe(9);
    expect(await lab.check(['lab', 'add', ...named])).toBe('machine/node-4 added\n');
    expect(await lab.check(['get', 'nodes'])).toMatch(/^node-4 +Ready /m);
    await lab.check(['cordon', 'node-4']); // the tests that follow count on three
  });

  test('scale up spreads, scale down shrinks; services follow', async () => {
    expect(await lab.check(['scale', 'deploy/echo', '--replicas=6'])).toBe('deployment.apps/echo scaled\n');
    await lab.check(['rollout', 'status', 'deploy/echo', '--timeout=60s']);
    const pods = await lab.api.readyPods('app=echo');
    const perNode = nodes.map((node) => pods.filter(({ spec }) => spec.nodeName === node).length);
    expect(perNode).toEqual([2, 2, 2]);
    await waitFor('six endpoints', 10_000, async () => (await lab.api.endpoints('echo')).length === 6);
    await lab.check(['scale', '--replicas=3', 'deployment', 'echo']);
    await waitFor('three pods are left', 30_000, async () => {
      const left = await lab.api.list('Pod', { selector: 'app=echo' });
      return left.length === 3 && (await lab.api.endpoints('echo')).length === 3;
    });
    const left = await lab.api.readyPods('app=echo');
    expect(new Set(left.map(({ spec }) => spec.nodeName)).size).toBe(3);
  });

  test('cordon keeps new pods away, drain moves the others, uncordon lets them come', async () => {
    expect(await lab.check(['cordon', 'node-3'])).toContain('node/node-3 cordoned');
    expect(await lab.check(['get', 'node', 'node-3'])).toContain('Ready,SchedulingDisabled');
    await lab.check(['drain', 'node-3', '--timeout=60s']);
    const left = await lab.api.list('Pod', { fields: 'spec.nodeName=node-3' });
    expect(left.map(({ metadata }) => metadata.name)).toEqual([]);
    await waitFor('the pods run elsewhere', 30_000, async () => (await lab.api.readyPods('app=echo')).length === 3);
    await lab.check(['uncordon', 'node-3']);
    await lab.check(['scale', 'deploy/echo', '--replicas=5']);
    await waitFor('the node is used again', 30_000, async () => {
      const pods = await lab.api.readyPods('app=echo');
      return pods.some(({ spec }) => spec.nodeName === 'node-3');
    });
  });

  test('delete waits until the pods are gone, and their addresses leave the endpoints', async () => {
    expect(await lab.check(['delete', 'deployment', 'redis'])).toBe('deployment.apps "redis" deleted\n');
    await waitFor('its pods are gone', 30_000, async () => {
      return (await lab.api.list('Pod', { selector: 'app=redis' })).length === 0;
    });
    expect(await lab.api.list('ReplicaSet', { selector: 'app=redis' })).toEqual([]);
    expect(await lab.api.endpoints('redis')).toEqual([]);
  });
});
