/** Bad input: manifests, tokens, certificates and bytes that mean nothing. Each is refused with a reason; nobody dies. */
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClientConfig, readConfig } from '../../cli/config.ts';
import { cgroupRoot } from '../../deploy/lab/cgroups.ts';
import { cloneFolder } from '../../deploy/lab/state.ts';
import { systemClock } from '../../lib/clock.ts';
import { createAuthority, issueIdentity, lifetimeMs } from '../../lib/pki/certificates.ts';
import type { RunResult } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';
import { connect } from '../../lib/rpc/client.ts';
import { nodeServerName } from '../../lib/rpc/server-name.ts';
import { type Lab, startLab, waitFor } from './lab-fixture.ts';
import { deployment, echo, pod, service } from './manifests.ts';
import { identities, programs, workload } from './processes.ts';

let lab: Lab;
let alive: string[];

beforeAll(async () => {
  lab = await startLab({ nodes: 1 });
  await lab.api.apply(deployment('echo', 1, echo()));
  await lab.api.apply(service('echo', 'echo'));
  await lab.api.apply(pod('client'));
  await waitFor('all is well', 60_000, async () => {
    return (await lab.api.endpoints('echo')).length === 1 && (await lab.api.readyPods('app=client')).length === 1;
  });
});
afterAll(() => lab?.remove());

beforeEach(async () => {
  alive = await identities(lab, [...programs, ...workload]);
});
/** Whatever was sent: the same processes run, and the cluster and its DNS answer. */
afterEach(async () => {
  expect(await identities(lab, [...programs, ...workload])).toEqual(alive);
  expect(await lab.api.isNodeReady('node-1')).toBe(true);
  expect(await lab.api.shell('client', 'wget -T 5 -qO- http://echo')).toContain('"pod":"echo-');
});

describe('manifests', () => {
  const refused: readonly { what: string; manifest: string; says: readonly (string | RegExp)[] }[] = [
    {
      what: 'wrong types, unknown fields, bad quantities and names, all at once',
      manifest: `apiVersion: v1
kind: Pod
metadata: { name: Not_A_Name }
spec:
  containers:
    - name: main
      image: 5
      comand: [sleep]
      resources: { limits: { memory: 12 apples } }
  replicas: 2
`,
      says: [
        '5 problems; nothing was sent',
        /:3: .*metadata\.name: "Not_A_Name" is not a name/,
        /:7: .*spec\.containers\[0\]\.image: expected a string, got the number 5/,
        /:8: .*spec\.containers\[0\]\.comand: unknown field; did you mean command\?/,
        /:9: .*limits.*"12 apples" is not a quantity/,
        /:10: .*spec\.replicas: unknown field/,
      ],
    },
    {
      what: 'a selector that does not match its template',
      manifest: `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: wep } }
    spec: { containers: [{ name: main, image: "busybox:1" }] }
`,
      says: [/:7: Deployment web: spec\.template\.metadata\.labels: the selector .*does not match/],
    },
    {
      what: 'YAML that is none',
      manifest: 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n   labels: {}\n',
      says: [/standard input: .* at line 4, column 9/],
    },
    {
      what: 'kinds that are not there',
      manifest:
        'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: web }\n---\n' +
        'apiVersion: v1\nkind: Unicorn\nmetadata: { name: web }\n',
      says: [/:1: Ingress web: not supported: kind Ingress/, /:6: Unicorn web: kind: unknown kind "Unicorn"/],
    },
    {
      what: 'ports out of range and a type that is none',
      manifest:
        'apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { type: Balancer, ports: [{ port: 70000 }] }\n',
      says: ['spec.type: "Balancer" is not allowed', 'spec.ports[0].port: 70000 is not allowed'],
    },
    {
      what: 'requests above limits',
      manifest: `apiVersion: v1
kind: Pod
metadata: { name: greedy }
spec:
  containers:
    - { name: main, image: "busybox:1", resources: { requests: { memory: 2Gi }, limits: { memory: 1Gi } } }
`,
      says: [/spec\.containers\[0\]\.resources\.requests/],
    },
    {
      what: 'a namespace that does not exist',
      manifest: 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: lost, namespace: nowhere }\ndata: { key: value }\n',
      says: ['namespaces "nowhere" not found'],
    },
    { what: 'nothing at all', manifest: '', says: ['no objects in standard input'] },
    { what: 'bytes that are no text', manifest: '\u0000\u0001\ufffd{[', says: ['standard input'] },
  ];
  for (const { what, manifest, says } of refused) {
    test(what, async () => {
      const { exitCode, stdout, stderr } = await lab.ctl(['apply', '-f', '-'], { input: manifest });
      expect([exitCode, stdout]).toEqual([1, '']);
      for (const words of says) expect(stderr).toMatch(words);
    });
  }

  test('one bad document keeps the good ones from being sent', async () => {
    const good = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: good }\ndata: { key: value }\n';
    const bad = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: bad }\ndate: { key: value }\n';
    const { exitCode, stderr } = await lab.ctl(['apply', '-f', '-'], { input: `${good}---\n${bad}` });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/:9: ConfigMap bad: date: unknown field; did you mean data\?/);
    expect(await lab.api.find('ConfigMap', 'good')).toBeUndefined();
  });

  test('what is immutable, taken or missing is refused by the server', async () => {
    const changed = deployment('echo', 1, echo());
    changed.spec.selector = { matchLabels: { app: 'echo', also: 'this' } };
    changed.spec.template.metadata = { labels: { app: 'echo', also: 'this' } };
    const immutable = await lab.ctl(['apply', '-f', '-'], { input: JSON.stringify(changed) });
    expect([immutable.exitCode, immutable.stderr.includes('spec.selector')]).toEqual([1, true]);

    await lab.apply(
      JSON.stringify(service('door', 'echo', { type: 'NodePort', ports: [{ port: 80, nodePort: 31999 }] })),
    );
    const taken = await lab.ctl(['apply', '-f', '-'], {
      input: JSON.stringify(service('other', 'echo', { type: 'NodePort', ports: [{ port: 80, nodePort: 31999 }] })),
    });
    expect(taken.exitCode).toBe(1);
    expect(taken.stderr).toMatch(/spec\.ports\[0\]\.nodePort: .*31999/);
    await lab.check(['delete', 'service', 'door']);

    const missing = await lab.ctl(['apply', '-f', '/no/such/file.yaml']);
    expect([missing.exitCode, missing.stderr.includes('/no/such/file.yaml')]).toEqual([1, true]);
    const unknown = await lab.ctl(['aply', '-f', '-']);
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toContain('Did you mean apply?');
  });
});

describe('tokens', () => {
  /** An agent that wants to join with this token, on a machine that is no node. */
  async function joinWith(token: string): Promise<RunResult & { message: string }> {
    const address = `${lab.subnet}.1`;
    const result = await lab.exec('rack', [
      ...['timeout', '20', join(cloneFolder, 'node_modules/.bin/node'), join(cloneFolder, 'node-agent/main.ts')],
      ...['--node-name', 'intruder', '--node-ip', address, '--server', `${lab.subnet}.2:6443`, '--token', token],
      ...['--data-dir', '/tmp/intruder', '--run-dir', '/tmp/intruder-run'],
      ...['--cgroup-parent', `/${cgroupRoot}/${lab.name}/rack`],
    ]);
    const message = result.stdout + result.stderr;
    return { ...result, message };
  }
  const create = async (...args: string[]): Promise<string> => (await lab.check(['token', 'create', ...args])).trim();

  afterEach(async () => {
    expect(await lab.api.find('Node', 'intruder')).toBeUndefined();
  });

  test('that is no token, or whose secret is wrong', async () => {
    const nonsense = await joinWith('let-me-in');
    expect([nonsense.exitCode, nonsense.message.includes('this is not a join token')]).toEqual([1, true]);
    const [id, secret, hash] = (await create()).split('.');
    const wrong = await joinWith([id, [...secret!].reverse().join(''), hash].join('.'));
    expect(wrong.exitCode).toBe(1);
    expect(wrong.message).toContain(`join token ${id} is not one of this cluster`);
    expect(wrong.message).toContain('ctl token create --role node');
  });

  test('of another cluster: nothing is sent to this one', async () => {
    const [id, secret, hash] = (await create()).split('.');
    const { exitCode, message } = await joinWith([id, secret, [...hash!].reverse().join('')].join('.'));
    expect([exitCode, message.includes('is not the cluster of this join token')]).toEqual([1, true]);
  });

  test('that has expired', async () => {
    const token = await create('--ttl', '1s');
    await waitFor('it is off the list', 10_000, async () => {
      return !(await lab.check(['token', 'list'])).includes(token.split('.')[0]!);
    });
    const { exitCode, message } = await joinWith(token);
    expect(exitCode).toBe(1);
    expect(message).toMatch(/join token \S+ expired at /);
  });

  test('that was revoked', async () => {
    const token = await create();
    const [id] = token.split('.');
    expect(await lab.check(['token', 'list'])).toContain(id);
    await lab.check(['token', 'revoke', id!]);
    const { exitCode, message } = await joinWith(token);
    expect([exitCode, message.includes(`join token ${id} was revoked at `)]).toEqual([1, true]);
    expect((await lab.ctl(['token', 'revoke', 'nothere1'])).exitCode).toBe(1);
  });
});

describe('clients', () => {
  function ctlWith(config: ClientConfig): Promise<RunResult> {
    const file = join(lab.dataFolder('rack'), 'other.conf');
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    return lab.ctl(['--config', file, 'get', 'secrets']);
  }

  test('without a certificate are not let in, neither by the API nor by an agent', async () => {
    const { caCertificate } = readConfig(lab.config);
    for (const [address, serverName] of [
      [`${lab.subnet}.2:6443`, undefined],
      [`${lab.subnet}.11:10250`, nodeServerName('node-1')],
    ] as const) {
      const connection = connect({ address, tls: { caPem: caCertificate }, ...(serverName && { serverName }) });
      const list = connection.client('Cluster').List({ kind: 'Pod' }, { deadlineMs: 5_000 });
      await expect(list, address).rejects.toMatchObject({ code: 'unauthenticated' });
      connection.close();
    }
  });

  test('with a certificate of another cluster are not let in; ctl says what to look at', async () => {
    const config = readConfig(lab.config);
    const dependencies = { clock: systemClock, random: systemRandom };
    const other = await createAuthority('another cluster', dependencies);
    const names = { commonName: 'admin', organization: 'admin', names: [], usages: ['client' as const] };
    const stranger = await issueIdentity(other, { ...names, lifetimeMs: lifetimeMs.user }, dependencies);
    const { stderr, exitCode } = await ctlWith({
      ...config,
      clientCertificate: stranger.certPem,
      clientKey: stranger.keyPem,
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('does not take our certificate');
    const elsewhere = await ctlWith({ ...config, caCertificate: other.certPem });
    expect(elsewhere.exitCode).toBe(1);
    expect(elsewhere.stderr).toContain('the server is not of our cluster');
  });

  test('who are nodes may not do what nodes have no business with', async () => {
    const identity = readFileSync(join(lab.dataFolder('node-1'), 'pki/node.pem'), 'utf8');
    const [keyPem, certPem] = identity.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
    const { exitCode, stderr } = await ctlWith({
      ...readConfig(lab.config),
      clientCertificate: certPem!,
      clientKey: keyPem!,
    });
    expect([exitCode, stderr.includes('Error from server (Forbidden)')]).toEqual([1, true]);
  });
});

describe('bytes that mean nothing', () => {
  const noise = (length: number): Buffer => Buffer.from(systemRandom.bytes(length));
  const http = 'POST /gantry.v1.Cluster/List HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n';
  const hello = Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc]), noise(16_384)]);

  /** Sends, and returns when the other side has closed or said nothing for a second. */
  function send(socket: Socket, bytes: Buffer | string): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        socket.destroy();
        resolve();
      };
      socket.setTimeout(1_000, done);
      for (const event of ['close', 'error', 'end']) socket.once(event, done);
      socket.on('data', () => {});
      socket.write(bytes);
    });
  }

  for (const [port, last] of [
    [6443, 2],
    [6444, 2],
    [10250, 11],
  ] as const) {
    test(`on the gRPC port ${port}`, async () => {
      const host = `${lab.subnet}.${last}`;
      const raw = (bytes: Buffer | string) => send(connectTcp({ host, port }), bytes);
      await Promise.all([raw(noise(1)), raw(noise(100)), raw(noise(100_000)), raw(http), raw(hello), raw('')]);
      // Inside TLS, as far as it lets somebody without a certificate.
      const inside = (bytes: Buffer | string) =>
        send(connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] }), bytes);
      await Promise.all([inside(noise(10_000)), inside(http), inside(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${noise(500)}`)]);
      expect((await lab.api.list('Node')).length).toBe(1);
    });
  }

  test('inside a connection that is let in', async () => {
    const { caCertificate, clientCertificate, clientKey } = readConfig(lab.config);
    const socket = connectTls({
      ...{ host: `${lab.subnet}.2`, port: 6443, rejectUnauthorized: false, ALPNProtocols: ['h2'] },
      ...{ ca: caCertificate, cert: clientCertificate, key: clientKey },
    });
    await new Promise((connected) => socket.once('secureConnect', connected));
    await send(socket, Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), noise(50_000)]));
    expect((await lab.api.list('Node')).length).toBe(1);
  });

  test('on the DNS ports, over UDP and TCP, of the control plane and of a node', async () => {
    const address = `${lab.subnet}.2`;
    const socket = createSocket('udp4');
    try {
      for (const length of [0, 1, 11, 12, 13, 100, 512, 1_400, 9_000]) {
        await new Promise((sent) => socket.send(noise(length), 53, address, sent));
      }
      // A well-formed header that promises questions that do not come, and names that point at themselves.
      const header = Buffer.from('123401000001000000000000', 'hex');
      for (const rest of ['', 'c00c', '3f', 'c00cc00c00010001', 'ff'.repeat(300), `${'01'.repeat(250)}0000010001`]) {
        const query = Buffer.concat([header, Buffer.from(rest, 'hex')]);
        await new Promise((sent) => socket.send(query, 53, address, sent));
      }
    } finally {
      socket.close();
    }
    await Promise.all(
      [noise(2), noise(1_000), Buffer.from([0xff, 0xff, 1, 2, 3]), Buffer.alloc(70_000)].map((bytes) =>
        send(connectTcp({ host: address, port: 53 }), bytes),
      ),
    );
    const fromPod = `for n in 1 12 500 1200; do head -c $n /dev/urandom | nc -u -w 1 10.43.0.10 53; done
      head -c 3000 /dev/urandom | timeout 2 nc 10.43.0.10 53; true`;
    await lab.api.shell('client', fromPod);
    await waitFor('the control plane still answers names', 5_000, async () => {
      const { stdout } = await lab.exec('rack', [
        ...['dig', '+short', '+time=2', '+tries=1', `@${address}`, 'echo.default.svc.cluster.local'],
      ]);
      return stdout.startsWith('10.43.');
    });
  });

  test('many connections that are opened and never used do not keep others out', async () => {
    const open = Array.from({ length: 200 }, () => connectTcp({ host: `${lab.subnet}.2`, port: 6443 }));
    try {
      await Promise.all(open.map((socket) => new Promise((connected) => socket.once('connect', connected))));
      const startedMs = systemClock.monotonicMs();
      expect(await lab.check(['get', 'nodes'])).toContain('node-1');
      expect(systemClock.monotonicMs() - startedMs).toBeLessThan(5_000);
    } finally {
      for (const socket of open) socket.destroy();
    }
  });
});
