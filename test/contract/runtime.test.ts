/** One suite for the runtime in memory and the one over conmon and runc. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { waitUntil } from '../../node-agent/runtime/wait.ts';
import {
  fakeRuntimeHarness,
  logLines,
  type RuntimeHarness,
  runcHarness,
  startPod,
  type TestPod,
} from './runtime-harness.ts';

describe.each([
  ['in memory', () => fakeRuntimeHarness()],
  ['runc', runcHarness],
])('runtime, %s', (_name, begin) => {
  let harness: RuntimeHarness;
  let pod: TestPod;
  beforeAll(async () => {
    harness = await begin();
  });
  afterAll(() => harness?.dispose());
  beforeEach(async () => {
    pod = await startPod(harness);
  });
  afterEach(async () => {
    await pod.remove();
    expect(await harness.leftovers()).toEqual([]);
  });

  describe('a sandbox', () => {
    it('has a process and a network namespace, and is made once', async () => {
      const { sandboxes } = await harness.runtime.list();
      expect(sandboxes).toEqual([
        {
          podUid: pod.podUid,
          pid: expect.any(Number),
          netnsPath: expect.stringContaining('/ns/net'),
          alive: true,
          createdAtMs: expect.any(Number),
        },
      ]);
      const { pid } = sandboxes[0]!;
      const again = await harness.runtime.createSandbox({
        podUid: pod.podUid,
        podName: 'x',
        podNamespace: 'default',
        hostname: 'x',
        hostNetwork: false,
        hostPID: false,
        hostIPC: false,
        resources: {},
      });
      expect(again.pid).toBe(pid);
    });

    it('is not removed under its containers', async () => {
      const id = await pod.run(['/bin/sleep', '1000']);
      await expect(harness.runtime.removeSandbox(pod.podUid)).rejects.toMatchObject({ code: 'failedPrecondition' });
      expect((await pod.status(id))?.state).toBe('running');
    });

    it('is needed by a container', async () => {
      const config = pod.config({ podUid: 'nowhere' });
      await expect(harness.runtime.createContainer(config)).rejects.toMatchObject({ code: 'failedPrecondition' });
    });

    it('that is gone is removed again without complaint', async () => {
      await harness.runtime.removeSandbox('never-was');
      await harness.runtime.removeContainer('never-was');
    });
  });

  describe('a container', () => {
    it('is created, runs, and exits with its status', async () => {
      const config = pod.config({ argv: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 7'] });
      await harness.runtime.createContainer(config);
      expect(await pod.status(config.id)).toMatchObject({ state: 'created', attempt: config.attempt, name: 'main' });
      const startedAtMs = systemClock.nowMs();
      await harness.runtime.startContainer(config.id);
      const status = await pod.untilExited(config.id);
      expect(status).toMatchObject({ state: 'exited', exitCode: 7, imageId: harness.imageId });
      expect(status.pid).toBeUndefined();
      expect(status.oomKilled).toBeUndefined();
      expect(status.startedAtMs).toBeGreaterThanOrEqual(startedAtMs - 50);
      expect(status.finishedAtMs).toBeGreaterThanOrEqual(status.startedAtMs! - 50);
      const logged = await waitUntil(systemClock, 5000, async () => logLines(await pod.log(config.id)).length === 2);
      expect(logged).toBe(true);
      expect([...logLines(await pod.log(config.id))].sort()).toEqual(['stderr F err', 'stdout F out']);
      expect(await pod.log(config.id)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) std/);
    });

    it('is created and started once however often that is asked', async () => {
      const config = pod.config();
      await harness.runtime.createContainer(config);
      await harness.runtime.createContainer(config);
      await harness.runtime.startContainer(config.id);
      const pid = (await pod.status(config.id))?.pid;
      await harness.runtime.startContainer(config.id);
      expect(await pod.status(config.id)).toMatchObject({ state: 'running', pid });
      expect((await harness.runtime.list()).containers).toHaveLength(1);
    });

    it('tells of its exit soon', async () => {
      const seen: string[] = [];
      const cancel = harness.runtime.onChange((podUid) => seen.push(podUid));
      const id = await pod.run(['/bin/sleep', '0.2']);
      await pod.status(id);
      seen.length = 0;
      expect(await waitUntil(systemClock, 5000, () => seen.includes(pod.podUid))).toBe(true);
      expect(await pod.status(id)).toMatchObject({ state: 'exited', exitCode: 0 });
      cancel();
      await harness.runtime.removeContainer(id);
    });

    it('ends by the signal it handles, and by SIGKILL what it does not', async () => {
      const polite = await pod.run(['/bin/sh', '-c', 'trap "exit 5" TERM; sleep 1000 & wait']);
      const deaf = await pod.run(['/bin/sleep', '1000']);
      await waitUntil(systemClock, 200, () => false); // the shell needs a moment to set its trap, and nothing tells when
      await harness.runtime.signalContainer(polite, 'SIGTERM');
      await harness.runtime.signalContainer(deaf, 'SIGTERM');
      expect(await pod.untilExited(polite)).toMatchObject({ exitCode: 5 });
      expect((await pod.status(deaf))?.state).toBe('running');
      await harness.runtime.signalContainer(deaf, 'SIGKILL');
      expect(await pod.untilExited(deaf)).toMatchObject({ exitCode: 137 });
      await harness.runtime.signalContainer(deaf, 'SIGTERM');
    });

    it("whose command does not exist says so, in the runtime's words", async () => {
      const config = pod.config({ argv: ['/no/such/command'] });
      await harness.runtime.createContainer(config);
      await expect(harness.runtime.startContainer(config.id)).rejects.toMatchObject({
        code: 'failedPrecondition',
        message: 'exec: "/no/such/command": stat /no/such/command: no such file or directory',
      });
      expect(await pod.status(config.id)).toMatchObject({
        state: 'exited',
        exitCode: 127,
        message: expect.stringContaining('no such file'),
      });
    });

    it('is removed while it runs', async () => {
      const id = await pod.run(['/bin/sleep', '1000']);
      await harness.runtime.removeContainer(id);
      expect(await pod.status(id)).toBeUndefined();
    });

    it('is unknown to start and exec once it is removed', async () => {
      await expect(harness.runtime.startContainer('never-was')).rejects.toMatchObject({ code: 'notFound' });
      const request = { containerId: 'never-was', argv: ['/bin/true'], tty: false, stdin: false };
      await expect(harness.runtime.exec(request)).rejects.toMatchObject({ code: 'notFound' });
    });

    it('is counted while it runs', async () => {
      const id = await pod.run(['/bin/sleep', '1000']);
      let stats = await harness.runtime.stats();
      // For a moment it is still runc that is about to become the command.
      await waitUntil(systemClock, 5000, async () => {
        stats = await harness.runtime.stats();
        return stats[0]?.pids === 1;
      });
      expect(stats).toHaveLength(1);
      expect(stats[0]).toMatchObject({ containerId: id, pids: 1 });
      expect(stats[0]!.memoryBytes).toBeGreaterThan(0);
      expect(stats[0]!.cpuUsageNanos).toBeTypeOf('bigint');
    });
  });

  describe('exec', () => {
    it('returns output and status', async () => {
      const id = await pod.run(['/bin/sleep', '1000']);
      expect(await pod.exec(id, ['/bin/echo', 'hi'])).toEqual({ exitCode: 0, stdout: 'hi\n', stderr: '' });
      expect(await pod.exec(id, ['/bin/sh', '-c', 'echo oops >&2; exit 3'])).toEqual({
        exitCode: 3,
        stdout: '',
        stderr: 'oops\n',
      });
      expect((await pod.exec(id, ['/no/such/command'])).exitCode).toBe(127);
    });

    it('needs a container that runs', async () => {
      const id = await pod.run(['/bin/true']);
      await pod.untilExited(id);
      await expect(pod.exec(id, ['/bin/true'])).rejects.toMatchObject({ code: 'failedPrecondition' });
    });
  });

  describe('another agent', () => {
    it('adopts what runs and restarts nothing', async () => {
      const id = await pod.run(['/bin/sleep', '1000']);
      const before = await harness.runtime.list();
      await harness.restartAgent();
      expect(await harness.runtime.list()).toEqual(before);
      expect((await pod.exec(id, ['/bin/true'])).exitCode).toBe(0);
      await harness.runtime.signalContainer(id, 'SIGKILL');
      expect(await pod.untilExited(id)).toMatchObject({ exitCode: 137 });
    });

    it('learns what ended meanwhile, and keeps knowing it', async () => {
      const id = await pod.run(['/bin/sh', '-c', 'exit 9']);
      const status = await pod.untilExited(id);
      await harness.restartAgent();
      expect(await pod.status(id)).toEqual(status);
    });

    it('keeps what was created and not yet started', async () => {
      const config = pod.config({ argv: ['/bin/sh', '-c', 'exit 4'] });
      await harness.runtime.createContainer(config);
      await harness.restartAgent();
      expect((await pod.status(config.id))?.state).toBe('created');
      await harness.runtime.startContainer(config.id);
      expect(await pod.untilExited(config.id)).toMatchObject({ exitCode: 4 });
    });
  });
});
