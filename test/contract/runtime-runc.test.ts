/** What only the real runtime can show: namespaces, limits, terminals, logs on disk, agents that are killed. */
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { systemExec } from '../../lib/process.ts';
import { identifyProcess, isAlive } from '../../node-agent/runtime/processes.ts';
import { waitUntil } from '../../node-agent/runtime/wait.ts';
import { logLines, type RuntimeHarness, runcHarness, startPod, type TestPod, text } from './runtime-harness.ts';

const patienceMs = 15_000;

let harness: RuntimeHarness;
let pod: TestPod;
beforeAll(async () => {
  harness = await runcHarness();
});
afterAll(() => harness?.dispose());
beforeEach(async () => {
  pod = await startPod(harness);
});
afterEach(async () => {
  await pod.remove();
  expect(await harness.leftovers()).toEqual([]);
});

async function hostIdStart(): Promise<number> {
  const { sandboxes } = await harness.runtime.list();
  const map = await readFile(`/proc/${sandboxes.find(({ podUid }) => podUid === pod.podUid)!.pid}/uid_map`, 'utf8');
  return Number(map.trim().split(/\s+/)[1]);
}

describe('isolation', () => {
  it("maps root to an id of the pod's own, inside and outside", async () => {
    const start = await hostIdStart();
    const id = await pod.run(['/bin/sleep', '1000']);
    const { stdout } = await pod.exec(id, ['/bin/cat', '/proc/self/uid_map']);
    expect(stdout.trim().split(/\s+/)).toEqual(['0', String(start), '65536']);
    expect((await pod.exec(id, ['/bin/stat', '-c', '%u:%g', '/', '/bin/busybox', '/owned'])).stdout).toBe(
      '0:0\n0:0\n0:0\n',
    );
    expect((await pod.exec(id, ['/bin/touch', '/owned/file'])).exitCode).toBe(0);
    const status = await readFile(`/proc/${(await pod.status(id))!.pid}/status`, 'utf8');
    expect(status).toMatch(new RegExp(`^Uid:\\s+${start}\\s`, 'm'));
  });

  it('keeps the pause process without a name or privilege on the host', async () => {
    const start = await hostIdStart();
    const { sandboxes } = await harness.runtime.list();
    const read = (): Promise<string> => readFile(`/proc/${sandboxes[0]!.pid}/status`, 'utf8');
    // It gives its privileges up itself, a moment after the namespaces are there.
    await expect.poll(read).toMatch(new RegExp(`^Uid:\\s+${start + 65_534}\\s`, 'm'));
    await expect.poll(read).toMatch(/^CapEff:\s+0+$/m);
    await expect.poll(read).toMatch(/^CapBnd:\s+0+$/m);
  });

  it("gives a pod its name, and its containers one network and no other's processes", async () => {
    const first = await pod.run(['/bin/sleep', '1000']);
    const second = await pod.run(['/bin/sleep', '1000']);
    const netOf = async (id: string): Promise<string> =>
      (await pod.exec(id, ['/bin/ls', '-l', '/proc/self/ns/net'])).stdout.split('-> ')[1]!;
    expect(await netOf(first)).toBe(await netOf(second));
    expect((await pod.exec(first, ['/bin/hostname'])).stdout).toBe(`${pod.podUid}\n`);
    expect((await pod.exec(first, ['/bin/sh', '-c', 'ls -d /proc/[0-9]*'])).stdout).not.toContain('sleep');
    const own = (await pod.exec(first, ['/bin/ps', '-o', 'comm'])).stdout
      .split('\n')
      .filter((line) => line === 'sleep');
    expect(own).toHaveLength(1);
  });

  it('lets programs open their standard streams anew', async () => {
    expect(await pod.output('echo again > /dev/stdout; echo worse > /dev/stderr')).toContain('again');
  });

  it('lets anyone in the pod bind low ports', async () => {
    expect(await pod.output('cat /proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('0');
  });

  it("masks and protects the kernel's files, forbids new privileges and filters system calls", async () => {
    const out = await pod.output(
      'cat /proc/self/status; wc -c < /proc/keys; touch /proc/sys/x 2>&1; mount -t tmpfs t /tmp 2>&1; true',
    );
    expect(out).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(out).toMatch(/^Seccomp:\s+2$/m);
    expect(out).toMatch(/^0$/m);
    expect(out).toMatch(/permission denied/i);
  });

  it("runs in the host's user namespace when the pod asks for that", async () => {
    const other = await startPod(harness, { userNamespace: undefined } as never);
    expect((await other.output('cat /proc/self/uid_map')).trim().split(/\s+/)).toEqual(['0', '0', '4294967295']);
    await other.remove();
  });

  it("shares the host's network, processes and ipc when the pod asks for that", async () => {
    const other = await startPod(harness, { hostNetwork: true, hostPID: true, hostIPC: true });
    const { sandboxes } = await harness.runtime.list();
    expect(sandboxes.find(({ podUid }) => podUid === other.podUid)).not.toHaveProperty('netnsPath');
    const out = await other.output('ls -l /proc/self/ns/net; cat /sys/class/net/lo/mtu');
    const { stdout: hostNet } = await systemExec().check(['readlink', '/proc/self/ns/net']);
    expect(out).toContain(hostNet.trim());
    await other.remove();
  });

  it('looks users up in the image', async () => {
    expect(await pod.output('id -u; id -g; id -G', { user: 'web' })).toBe('101\n102\n102 200');
    expect(await pod.output('id -u; id -g', { user: '1234:5678' })).toBe('1234\n5678');
    const config = pod.config({ user: 'nobody-here' });
    await expect(harness.runtime.createContainer(config)).rejects.toThrow('user "nobody-here" is not in the image');
    expect(await pod.status(config.id)).toBeUndefined();
  });

  it('gives environment, working folder and a read-only root', async () => {
    const out = await pod
      .output('pwd; echo $GREETING; touch /x 2>&1 || true', {
        env: { GREETING: "it's me", PATH: '/bin' },
        workingDir: '/not/yet/there',
        readOnlyRootFilesystem: true,
      })
      .catch((error: Error) => error.message);
    expect(out).toContain('Read-only file system');
    expect(
      await pod.output('pwd; echo $GREETING', {
        env: { GREETING: "it's me", PATH: '/bin' },
        workingDir: '/not/yet/there',
      }),
    ).toBe("/not/yet/there\nit's me");
  });

  it('mounts volumes as they are, read-only where asked, and tmpfs', async () => {
    const start = await hostIdStart();
    const volume = `${harness.dir}/logs/volume-${pod.podUid}`;
    await mkdir(volume);
    await chown(volume, start, start);
    await writeFile(`${volume}/hello`, 'hi\n');
    const out = await pod.output(
      'cat /data/hello; echo new > /data/written; touch /config/x 2>&1; touch /mem/x && stat -f -c %T /mem; true',
      {
        mounts: [
          { hostPath: volume, containerPath: '/data', readOnly: false },
          { hostPath: volume, containerPath: '/config', readOnly: true },
          { hostPath: '', containerPath: '/mem', readOnly: false, tmpfsSizeBytes: 65_536 },
        ],
      },
    );
    expect(out).toMatch(/^hi\n.*Read-only file system\ntmpfs$/);
    expect(await readFile(`${volume}/written`, 'utf8')).toBe('new\n');
    expect((await stat(`${volume}/written`)).uid).toBe(start);
  });

  it('mounts volumes from folders that pods may not enter, and from a locked-down tmpfs read-only', async () => {
    const closed = `${harness.dir}/logs/closed-${pod.podUid}`;
    const secret = `${closed}/secret`;
    await mkdir(secret, { recursive: true, mode: 0o700 });
    await chmod(closed, 0o700);
    await systemExec().check(['mount', '-t', 'tmpfs', '-o', 'nosuid,nodev,noexec,size=64k,mode=0755', 'tmpfs', secret]);
    try {
      await writeFile(`${secret}/token`, 'abc\n');
      const mounts = [{ hostPath: secret, containerPath: '/secret', readOnly: true }];
      expect(await pod.output('cat /secret/token; touch /secret/x 2>&1; true', { mounts })).toMatch(
        /^abc\n.*Read-only file system$/,
      );
      expect(await pod.output('cat /secret/token', { mounts: [{ ...mounts[0]!, readOnly: false }] })).toBe('abc');
      const file = [{ hostPath: `${secret}/token`, containerPath: '/etc/token', readOnly: true }];
      expect(await pod.output('cat /etc/token', { mounts: file })).toBe('abc');
      await pod.removeContainers();
    } finally {
      await systemExec().check(['umount', secret]);
    }
  });

  it('refuses a volume that is not there, and leaves nothing of the container', async () => {
    const config = pod.config({ mounts: [{ hostPath: '/no/such/volume', containerPath: '/data', readOnly: false }] });
    await expect(harness.runtime.createContainer(config)).rejects.toMatchObject({
      code: 'failedPrecondition',
      message: expect.stringContaining('/no/such/volume'),
    });
    expect(await pod.status(config.id)).toBeUndefined();
  });

  it('refuses an image that is not on the node', async () => {
    await expect(harness.runtime.createContainer(pod.config({ imageId: 'f'.repeat(64) }))).rejects.toMatchObject({
      code: 'notFound',
    });
  });
});

describe('limits', () => {
  it('kill what takes more memory than it may, and say so', async () => {
    const id = await pod.run(['/bin/sh', '-c', 'exec dd if=/dev/zero of=/dev/null bs=200M count=1'], {
      resources: { memoryLimitBytes: 32 * 1024 * 1024 },
    });
    expect(await pod.untilExited(id)).toMatchObject({ exitCode: 137, oomKilled: true });
  });

  it('of the pod as a whole hold for its containers together', async () => {
    const small = await startPod(harness, { resources: { memoryLimitBytes: 32 * 1024 * 1024 } });
    const id = await small.run(['/bin/sh', '-c', 'exec dd if=/dev/zero of=/dev/null bs=200M count=1']);
    expect((await small.untilExited(id)).exitCode).toBe(137);
    await small.remove();
  });

  it('stop a fork bomb at its number of processes', async () => {
    const script = 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done 2>&1; echo unreachable';
    const id = await pod.run(['/bin/sh', '-c', script], { resources: { pidsLimit: 4 } });
    await pod.untilExited(id);
    expect(await pod.log(id)).toMatch(/can't fork|Resource temporarily unavailable/);
    expect(await pod.log(id)).not.toContain('unreachable');
  });
});

describe('exec', () => {
  it('passes standard input on, to its end', async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const session = await harness.runtime.exec({ containerId: id, argv: ['/bin/cat'], tty: false, stdin: true });
    session.stdin!.end('one\ntwo\n');
    expect(await text(session.stdout)).toBe('one\ntwo\n');
    expect(await session.exitCode).toBe(0);
  });

  it('is ended by kill, with the command it runs', async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const session = await harness.runtime.exec({
      containerId: id,
      argv: ['/bin/sh', '-c', 'echo on; exec sleep 999'],
      tty: false,
      stdin: false,
    });
    await once(session.stdout, 'data');
    session.kill();
    expect(await session.exitCode).toBe(137);
    expect((await pod.exec(id, ['/bin/ps', '-o', 'args'])).stdout).not.toContain('sleep 999');
  });

  it('gives a terminal the size it was asked for before it was there', async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const session = await harness.runtime.exec({ containerId: id, argv: ['/bin/sh'], tty: true, stdin: true });
    session.resize(99, 33);
    let printed = '';
    session.stdout.on('data', (chunk) => {
      printed += chunk;
    });
    const sized = await waitUntil(systemClock, patienceMs, () => {
      session.stdin!.write('stty size\n');
      return printed.includes('33 99');
    });
    session.stdin!.write('exit\n');
    expect(sized).toBe(true);
    await session.exitCode;
  });

  it('gives a terminal that can be typed on and resized', async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const session = await harness.runtime.exec({ containerId: id, argv: ['/bin/sh'], tty: true, stdin: true });
    let seen = '';
    session.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    const until = async (pattern: RegExp): Promise<void> => {
      const found = await waitUntil(systemClock, patienceMs, () => pattern.test(seen));
      if (!found) throw new Error(`not seen: ${pattern} in ${JSON.stringify(seen)}`);
    };
    session.stdin!.write('tty; echo "on a $TERM"\n');
    await until(/\/dev\/pts\/0\r\n.*on a xterm\r\n/s);
    session.resize(123, 45);
    const resized = await waitUntil(systemClock, patienceMs, async () => {
      session.stdin!.write('stty size\n');
      await once(session.stdout, 'data');
      return seen.includes('45 123');
    });
    expect(resized).toBe(true);
    session.stdin!.write('exit 6\n');
    expect(await session.exitCode).toBe(6);
  });

  it("ends with the terminal's own interrupt", async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const session = await harness.runtime.exec({
      containerId: id,
      argv: ['/bin/sh', '-c', 'echo on; exec sleep 999'],
      tty: true,
      stdin: true,
    });
    await once(session.stdout, 'data');
    session.stdin!.write('\x03');
    expect(await session.exitCode).toBe(130);
  });
});

describe('a container with a terminal', () => {
  it('has one, and a log', async () => {
    expect(await pod.output('tty', { terminal: true })).toContain('/dev/pts/0');
  });
});

describe('logs', () => {
  it('are moved away when they are long, and go on', async () => {
    const config = pod.config({
      argv: ['/bin/sh', '-c', 'i=0; while true; do i=$((i+1)); echo "line $i"; sleep 0.01; done'],
      logMaxBytes: 500,
    });
    await harness.runtime.createContainer(config);
    await harness.runtime.startContainer(config.id);
    const grown = async (): Promise<boolean> => (await stat(config.logPath).catch(() => ({ size: 0 }))).size > 500;
    expect(await waitUntil(systemClock, patienceMs, grown)).toBe(true);
    await harness.runtime.rotateLogs();
    expect(await waitUntil(systemClock, patienceMs, grown)).toBe(true);
    await harness.runtime.rotateLogs();
    await harness.runtime.removeContainer(config.id);
    const files = [`${config.logPath}.2`, `${config.logPath}.1`, config.logPath];
    const numbers: number[] = [];
    for (const file of files) {
      const log = await readFile(file, 'utf8');
      for (const line of logLines(log)) numbers.push(Number(line.replace('stdout F line ', '')));
    }
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });
});

describe('when the agent is killed', () => {
  const sandbox = {
    podName: 'k',
    podNamespace: 'default',
    hostname: 'k',
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    resources: {},
  };

  it('containers and pause processes run on, and the next agent has them', async () => {
    const config = pod.config({ podUid: 'killed', id: 'killed-main-0' });
    const folders = [`${harness.dir}/data`, `${harness.dir}/run`, harness.cgroupParent];
    const sandboxConfig = { ...sandbox, podUid: 'killed', userNamespace: { hostIdStart: 9_000_000, size: 65_536 } };
    const agent = systemExec().start(
      [
        process.execPath,
        `${import.meta.dirname}/runtime-agent.ts`,
        ...folders,
        JSON.stringify(sandboxConfig),
        JSON.stringify(config),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(agent.stdout!, 'data');
    agent.kill('SIGKILL');
    await once(agent, 'exit');

    await harness.restartAgent();
    const { sandboxes, containers } = await harness.runtime.list();
    expect(sandboxes.find(({ podUid }) => podUid === 'killed')).toMatchObject({ alive: true });
    const status = containers.find(({ id }) => id === config.id);
    expect(status).toMatchObject({ state: 'running' });
    expect(isAlive(identifyProcess(status!.pid!))).toBe(true);
    expect((await pod.exec(config.id, ['/bin/echo', 'still here'])).stdout).toBe('still here\n');
    await harness.runtime.removeContainer(config.id);
    await harness.runtime.removeSandbox('killed');
  });

  it('halfway through a creation, the next agent undoes what was made', async () => {
    const config = pod.config({ podUid: 'half', id: 'half-main-0' });
    const folders = [`${harness.dir}/data`, `${harness.dir}/run`, harness.cgroupParent];
    for (const records of ['containers', 'pods']) {
      const agent = systemExec().start(
        [
          process.execPath,
          `${import.meta.dirname}/runtime-agent.ts`,
          ...folders,
          JSON.stringify({ ...sandbox, podUid: 'half' }),
          JSON.stringify(config),
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      // The record is the first thing that is made; the kill lands somewhere in what follows.
      const begun = await waitUntil(systemClock, patienceMs, async () =>
        (await readdir(`${harness.dir}/data/${records}`)).some((name) => name.startsWith('half')),
      );
      expect(begun).toBe(true);
      agent.kill('SIGKILL');
      await once(agent, 'exit');
      await harness.restartAgent();
      await harness.runtime.removeContainer(config.id);
      await harness.runtime.removeSandbox('half');
      expect((await harness.leftovers()).filter((name) => name.includes('half'))).toEqual([]);
    }
  });
});

describe('when processes are killed behind its back', () => {
  it('a dead pause process shows, and the sandbox can be made again', async () => {
    const { sandboxes } = await harness.runtime.list();
    process.kill(sandboxes[0]!.pid, 'SIGKILL');
    const dead = await waitUntil(
      systemClock,
      patienceMs,
      async () => !(await harness.runtime.list()).sandboxes[0]!.alive,
    );
    expect(dead).toBe(true);
    const made = await harness.runtime.createSandbox({
      ...sandboxOf(pod),
      userNamespace: { hostIdStart: 20_000_000, size: 65_536 },
    });
    expect(made.pid).not.toBe(sandboxes[0]!.pid);
    expect(await pod.output('id -u')).toBe('0');
  });

  it('a container whose shim died counts as lost when it ends', async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const shim = Number(await readFile(`${harness.dir}/data/containers/${id}/conmon.pid`, 'utf8'));
    process.kill(shim, 'SIGKILL');
    const status = await waitUntil(systemClock, patienceMs, () => !isAlive(identifyProcess(shim)));
    expect(status).toBe(true);
    await harness.runtime.signalContainer(id, 'SIGKILL');
    expect(await pod.untilExited(id)).toMatchObject({
      exitCode: 137,
      message: expect.stringContaining('left no exit status'),
    });
  });
});

describe('after a power cut', () => {
  it('everything counts as ended, and goes away without a trace', async () => {
    const id = await pod.run(['/bin/sleep', '1000']);
    const done = await pod.run(['/bin/sh', '-c', 'exit 3']);
    const finished = await pod.untilExited(done);
    await harness.powerCut();
    expect(await pod.status(done)).toEqual(finished);
    expect(await pod.status(id)).toMatchObject({ state: 'exited', exitCode: 137 });
    expect((await harness.runtime.list()).sandboxes[0]).toMatchObject({ alive: false });
  });
});

describe('images', () => {
  it('in use by a container stay', async () => {
    const config = pod.config();
    await harness.runtime.createContainer(config);
    await expect(harness.removeImage()).rejects.toMatchObject({ code: 'failedPrecondition' });
  });
});

const sandboxOf = ({ podUid }: TestPod) => ({
  podUid,
  podName: podUid,
  podNamespace: 'default',
  hostname: podUid,
  hostNetwork: false,
  hostPID: false,
  hostIPC: false,
  resources: {},
});
