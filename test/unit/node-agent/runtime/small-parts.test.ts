import { describe, expect, it } from 'vitest';
import { onTerminal, renderExecProcess } from '../../../../node-agent/runtime/exec.ts';
import { keyedQueue, limiter } from '../../../../node-agent/runtime/keyed-queue.ts';
import { identifyProcess, isAlive, parseProcessStat } from '../../../../node-agent/runtime/processes.ts';
import { pauseArgv } from '../../../../node-agent/runtime/sandbox.ts';
import { signalNumber } from '../../../../node-agent/runtime/signals.ts';
import { sandboxConfig } from './configs.ts';

describe('signalNumber', () => {
  it.each([
    ['SIGTERM', 15],
    ['TERM', 15],
    ['sigquit', 3],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['SIGRTMAX-1', 63],
    ['RTMIN', 34],
  ])('%s is %i', (name, number) => {
    expect(signalNumber(name)).toBe(number);
  });

  it.each(['', 'SIGNOPE', '0', '65', '-9', 'SIGRTMAX+1', '1.5'])('"%s" is refused', (name) => {
    expect(() => signalNumber(name)).toThrow('unknown signal');
  });
});

describe('processes', () => {
  it('parses a stat line whose name has spaces and parentheses', () => {
    const text = `42 (a) b (c) S 7 ${Array.from({ length: 17 }, (_, index) => index).join(' ')} 987654 1 2`;
    expect(parseProcessStat(text)).toEqual({ state: 'S', parentPid: 7, startTime: '987654' });
    expect(parseProcessStat('')).toBeUndefined();
  });

  it('knows itself, and no one else under its pid', () => {
    const own = identifyProcess(process.pid);
    expect(isAlive(own)).toBe(true);
    expect(isAlive({ pid: process.pid, startTime: '1@elsewhere' })).toBe(false);
    expect(isAlive(undefined)).toBe(false);
  });
});

describe('keyedQueue', () => {
  it('runs one at a time per key, in order, also after a failure', async () => {
    const queue = keyedQueue();
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = queue.run('a', async () => {
      await gate.promise;
      seen.push('a1');
      throw new Error('no');
    });
    const second = queue.run('a', async () => seen.push('a2'));
    const other = queue.run('b', async () => seen.push('b1'));
    await other;
    expect(seen).toEqual(['b1']);
    gate.resolve();
    await expect(first).rejects.toThrow('no');
    await second;
    expect(seen).toEqual(['b1', 'a1', 'a2']);
  });
});

describe('limiter', () => {
  it('never runs more than its limit, and loses none', async () => {
    const bounded = limiter(2);
    let running = 0;
    let most = 0;
    let done = 0;
    const work = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      done += 1;
    };
    await Promise.all(Array.from({ length: 9 }, () => bounded(work)));
    expect([most, done]).toEqual([2, 9]);
  });
});

describe('exec', () => {
  const process = {
    terminal: false,
    user: { uid: 5, gid: 5, additionalGids: [] },
    args: ['/bin/web'],
    env: ['PATH=/bin'],
    cwd: '/srv',
    capabilities: { bounding: ['CAP_CHOWN'] },
    noNewPrivileges: true,
  };
  const request = { containerId: 'c', argv: ['ls', "it's"], tty: true, stdin: true };

  it('runs as the container does', () => {
    expect(renderExecProcess(process, request)).toEqual({
      ...process,
      args: ['ls', "it's"],
      terminal: true,
      env: ['PATH=/bin', 'TERM=xterm'],
    });
  });

  it('quotes what goes through the shell of script(1)', () => {
    const line = onTerminal(['/runc', "a'b; rm"], '/run/x').at(-2);
    expect(line).toBe(`echo $$ > '/run/x/terminal.pid'; exec '/runc' 'a'\\''b; rm'`);
  });
});

describe('pauseArgv', () => {
  it('makes the namespaces the pod does not share', () => {
    const argv = pauseArgv(sandboxConfig({ userNamespace: { hostIdStart: 1, size: 9 } }));
    expect(argv).toEqual(expect.arrayContaining(['--user', '--keep-caps', '--net', '--uts', '--ipc']));
    expect(argv.slice(-3)).toEqual(['web-0', 'net', '8']);
  });

  it('makes none for a pod that shares all', () => {
    const argv = pauseArgv(sandboxConfig({ hostNetwork: true, hostIPC: true }));
    expect(argv.filter((word) => word.startsWith('--'))).toEqual([]);
  });
});
