/** `ctl exec` and `ctl logs`: streams in and out, exit status, terminal, and which pod is meant. */
import { describe, expect, it } from 'vitest';
import type { ClusterHandlers } from '../../../control-plane/api/dependencies.ts';
import { GantryError } from '../../../lib/errors.ts';
import type { ExecRequest, LogsRequest, Pod, TerminalSize } from '../../../proto/gen/types.ts';
import { deploymentManifest, manifest, podManifest } from '../control-plane/api/harness.ts';
import { type Cli, createCli, until } from './harness.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

type Streams = Pick<ClusterHandlers, 'Logs' | 'Exec'>;

const noLogs: Streams['Logs'] = () => {
  throw new Error('not called');
};
const noExec: Streams['Exec'] = () => {
  throw new Error('not called');
};

/** Answers when the input has ended: what came in, and what is to be said. */
function recordingExec(requests: ExecRequest[], exitCode = 0): Streams['Exec'] {
  return async function* (input) {
    for await (const request of input) requests.push(request);
    yield { stdout: bytes('out\n') };
    yield { stderr: bytes('err\n') };
    yield { exitCode };
  };
}

async function cliWith(streams: Partial<Streams>, pods: readonly unknown[] = [podManifest('web')]): Promise<Cli> {
  const cli = await createCli({ logsAndExec: { Logs: noLogs, Exec: noExec, ...streams } });
  for (const pod of pods) await cli.create<Pod>(manifest(pod));
  return cli;
}

const container = (name: string) => ({ name, image: 'busybox:1' });

describe('ctl exec', () => {
  it('passes output and exit status on', async () => {
    const requests: ExecRequest[] = [];
    const cli = await cliWith({ Exec: recordingExec(requests, 7) });
    expect(await cli.run('exec web -- ls -l -n x')).toEqual({
      out: 'out\n',
      err: 'err\ncommand terminated with exit code 7\n',
      code: 7,
    });
    expect(requests).toEqual([
      {
        start: {
          namespace: 'default',
          pod: 'web',
          container: 'main',
          command: ['ls', '-l', '-n', 'x'],
          tty: false,
          stdin: false,
        },
      },
    ]);
  });

  it('passes standard input on with -i, then its end', async () => {
    const requests: ExecRequest[] = [];
    const cli = await cliWith({ Exec: recordingExec(requests) });
    const terminal = {
      async *input() {
        yield bytes('a');
        yield bytes('b');
      },
    };
    expect((await cli.run('exec -i web -- cat', { terminal })).code).toBe(0);
    expect(requests.slice(1)).toEqual([{ stdin: bytes('a') }, { stdin: bytes('b') }, { closeStdin: true }]);
    expect(requests[0]!.start!.stdin).toBe(true);
  });

  it('with -it sends keys and window sizes raw, and puts the terminal back', async () => {
    const requests: ExecRequest[] = [];
    const modes: boolean[] = [];
    let resize: (size: TerminalSize) => void = () => {};
    const cli = await cliWith({
      async *Exec(input) {
        for await (const request of input) {
          requests.push(request);
          if (request.stdin) break;
        }
        yield { stdout: bytes('bye') };
        yield { exitCode: 0 };
      },
    });
    let type = (_key: Uint8Array): void => {};
    const key = new Promise<Uint8Array>((resolve) => {
      type = resolve;
    });
    const terminal = {
      isInteractive: true,
      size: () => ({ columns: 80, rows: 24 }),
      onResize(listener: (size: TerminalSize) => void) {
        resize = listener;
        return () => {};
      },
      setRawMode: (raw: boolean) => void modes.push(raw),
      async *input() {
        yield await key;
      },
    };
    const running = cli.run('exec -it web -- sh', { terminal });
    await until(() => requests.length === 1);
    resize({ columns: 100, rows: 30 });
    await until(() => requests.length === 2);
    type(bytes('\u0003'));
    expect(await running).toEqual({ out: 'bye', err: '', code: 0 });
    expect(requests).toMatchObject([
      { start: { tty: true, stdin: true, size: { columns: 80, rows: 24 } } },
      { resize: { columns: 100, rows: 30 } },
      { stdin: bytes('\u0003') },
    ]);
    expect(modes).toEqual([true, false]);
  });

  it('does without a terminal when there is none', async () => {
    const requests: ExecRequest[] = [];
    const cli = await cliWith({ Exec: recordingExec(requests) });
    const { err, code } = await cli.run('exec -it web -- sh');
    expect(err).toContain('Unable to use a TTY - input is not a terminal or the right kind of file\n');
    expect(code).toBe(0);
    expect(requests[0]!.start!.tty).toBe(false);
  });

  it('ends with 130 at Ctrl-C', async () => {
    let aborted = false;
    const cli = await cliWith({
      async *Exec(_input, { signal }) {
        yield { stdout: bytes('started') };
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        aborted = true;
      },
    });
    const running = cli.run('exec web -- sleep 100');
    await until(() => running.out() === 'started');
    running.interrupt();
    expect((await running).code).toBe(130);
    await until(() => aborted);
  });

  it('says so when the connection ends before the command', async () => {
    const cli = await cliWith({
      async *Exec() {
        yield { stdout: bytes('x') };
      },
    });
    expect((await cli.run('exec web -- ls')).err).toBe(
      'error: the connection ended before the command did; it may still run\n',
    );
  });

  it('takes the first container and says which others there are', async () => {
    const requests: ExecRequest[] = [];
    const two = podManifest('two', {}, { containers: [container('a'), container('b')] });
    const cli = await cliWith({ Exec: recordingExec(requests) }, [two]);
    expect((await cli.run('exec two -- ls')).err).toContain('Defaulted container "a" out of: a, b\n');
    await cli.run('exec two -c b -- ls');
    expect(requests.map(({ start }) => start?.container)).toEqual(['a', 'b']);
    expect((await cli.run('exec two -c x -- ls')).err).toBe(
      'error: container x is not valid for pod two; it has a, b\n',
    );
    expect((await cli.run('exec two')).err).toContain('you must specify at least one command for the container');
  });

  it('finds a ready pod of a deployment', async () => {
    const requests: ExecRequest[] = [];
    const cli = await cliWith({ Exec: recordingExec(requests) }, []);
    await cli.create(manifest(deploymentManifest('web')));
    expect((await cli.run('exec deploy/web -- ls')).err).toContain('Deployment web has no pods yet');
    const pod = await cli.create<Pod>(manifest(podManifest('web-1', { app: 'web' })));
    const ready = await cli.create<Pod>(manifest(podManifest('web-2', { app: 'web' })));
    await cli.put({ ...pod, status: { phase: 'Running' } });
    await cli.put({ ...ready, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } });
    await cli.create(manifest(podManifest('other', { app: 'other' })));
    await cli.run('exec deploy/web -- ls');
    expect(requests.map(({ start }) => start?.pod)).toEqual(['web-2']);
    expect((await cli.run('exec cm/x -- ls')).err).toContain('a ConfigMap has no pods');
  });
});

describe('ctl logs', () => {
  const echo = (asked: LogsRequest[]): Streams['Logs'] =>
    async function* (request) {
      asked.push(request);
      yield { data: bytes(`${request.pod}/${request.container} one\n${request.pod} tw`) };
      yield { data: bytes('o') };
    };

  it('prints bytes as they come', async () => {
    const asked: LogsRequest[] = [];
    const cli = await cliWith({ Logs: echo(asked) });
    expect(await cli.run('logs web -f --tail=5 -p --since=2m --timestamps')).toEqual({
      out: 'web/main one\nweb two',
      err: '',
      code: 0,
    });
    expect(asked).toEqual([
      {
        namespace: 'default',
        pod: 'web',
        container: 'main',
        follow: true,
        previous: true,
        timestamps: true,
        tailLines: 5,
        sinceSeconds: 120,
      },
    ]);
  });

  it('of several pods: whole lines, ten of each, with their names on request', async () => {
    const asked: LogsRequest[] = [];
    const pods = ['a', 'b'].map((name) => podManifest(name, { app: 'web' }));
    const cli = await cliWith({ Logs: echo(asked) }, pods);
    expect((await cli.run('logs -l app=web --prefix')).out).toBe(
      '[pod/a/main] a/main one\n[pod/a/main] a two\n[pod/b/main] b/main one\n[pod/b/main] b two\n',
    );
    expect(asked.map(({ tailLines }) => tailLines)).toEqual([10, 10]);
    expect((await cli.run('logs -l app=none')).err).toBe('No resources found in default namespace.\n');
  });

  it('of all containers', async () => {
    const asked: LogsRequest[] = [];
    const spec = { containers: [container('a'), container('b')], initContainers: [container('i')] };
    const cli = await cliWith({ Logs: echo(asked) }, [podManifest('web', {}, spec)]);
    await cli.run('logs web --all-containers');
    expect(asked.map(({ container: name }) => name)).toEqual(['i', 'a', 'b']);
  });

  it('goes on with the others when one cannot be read', async () => {
    const pods = ['a', 'b'].map((name) => podManifest(name, { app: 'web' }));
    const cli = await cliWith(
      {
        async *Logs({ pod }) {
          if (pod === 'a') throw new GantryError('failedPrecondition', 'pod a is not on a node yet');
          yield { data: bytes('fine\n') };
        },
      },
      pods,
    );
    expect(await cli.run('logs -l app=web')).toEqual({
      out: 'fine\n',
      err: 'Error from server (Conflict): pod a is not on a node yet\n',
      code: 1,
    });
  });

  it('says which pod of a deployment it reads', async () => {
    const asked: LogsRequest[] = [];
    const pods = ['a', 'b'].map((name) => podManifest(name, { app: 'web' }));
    const cli = await cliWith({ Logs: echo(asked) }, pods);
    await cli.create(manifest(deploymentManifest('web')));
    expect((await cli.run('logs deploy/web')).err).toBe('Found 2 pods, using pod/a\n');
  });

  it.each([
    ['logs', 'name a pod, deploy/NAME, or select pods with -l'],
    ['logs web --tail=x', '--tail=x: give a number of lines, or -1 for all'],
    ['logs web --since=1m --since-time=2026-01-01T00:00:00Z', 'at most one of --since and --since-time can be used'],
    ['logs web -l app=web', 'give a name or a selector, not both'],
    ['logs web --since-time=yesterday', '--since-time=yesterday: write a time such as 2026-01-31T12:00:00Z'],
  ])('refuses `%s`', async (line, sentence) => {
    const cli = await cliWith({});
    expect(await cli.run(line)).toEqual({ out: '', err: `error: ${sentence}\n`, code: 1 });
  });
});
