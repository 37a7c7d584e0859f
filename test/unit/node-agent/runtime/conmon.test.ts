import { describe, expect, it } from 'vitest';
import { conmonArgv, isCommandProblem, parseSyncMessage, runcWords } from '../../../../node-agent/runtime/conmon.ts';
import { containerConfig } from './configs.ts';

const notFound =
  'time="2026-01-01T00:00:00Z" level=error msg="runc create failed: unable to start container process: exec: \\"nope\\": executable file not found in $PATH"';

describe('runcWords', () => {
  it.each([
    [notFound, 'exec: "nope": executable file not found in $PATH'],
    ['earlier line\nplain words', 'plain words'],
    ['', 'no reason given'],
  ])('%j says %j', (output, words) => {
    expect(runcWords(output)).toBe(words);
  });
});

describe('isCommandProblem', () => {
  it.each([
    ['exec: "nope": executable file not found in $PATH', true],
    ['exec: "/nope": stat /nope: no such file or directory', true],
    ['exec: "/etc": permission denied', true],
    ['error during container init: error mounting "/x" to rootfs at "/y": stat /x: no such file or directory', false],
    ['cannot set memory limit: container could not join or create cgroup', false],
  ])('%s: %s', (words, expected) => {
    expect(isCommandProblem(words)).toBe(expected);
  });
});

describe('parseSyncMessage', () => {
  it.each([
    ['{"pid": 42}\n', { pid: 42 }],
    ['{"data": 42}\n', { pid: 42 }],
    [
      `${JSON.stringify({ pid: -1, message: notFound })}\n`,
      { problem: 'exec: "nope": executable file not found in $PATH' },
    ],
    ['', { problem: 'conmon ended without a word' }],
    ['conmon: option parsing failed', { problem: 'conmon: option parsing failed' }],
  ])('%j', (text, expected) => {
    expect(parseSyncMessage(text)).toEqual(expected);
  });
});

describe('conmonArgv', () => {
  const paths = { conmon: '/c', runc: '/r', runcRoot: '/rr', bundle: '/b', exitDir: '/e' };

  it('passes every value as an argument of its own', () => {
    const argv = conmonArgv(paths, containerConfig({ logPath: '/log/a b.log' }));
    expect(argv).toContain('k8s-file:/log/a b.log');
    expect(argv).not.toContain('--terminal');
    expect(argv).not.toContain('--stdin');
  });

  it('asks for a terminal and for standard input only when the container does', () => {
    const argv = conmonArgv(paths, containerConfig({ terminal: true, stdin: true }));
    expect(argv).toContain('--terminal');
    expect(argv).toContain('--stdin');
  });
});
