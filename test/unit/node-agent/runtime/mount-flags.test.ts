import { describe, expect, it } from 'vitest';
import { flagsToKeep } from '../../../../node-agent/runtime/mount-flags.ts';

const mountinfo = [
  '20 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '21 20 0:20 / /run rw,nosuid,nodev - tmpfs tmpfs rw',
  '22 21 0:21 / /run/a\\040b rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw',
  '23 20 0:22 / /over rw,noexec - tmpfs tmpfs rw',
  '24 20 0:23 / /over rw,nodev - tmpfs tmpfs rw',
  '',
].join('\n');

describe('flagsToKeep', () => {
  it.each([
    ['/var/lib/x', []],
    ['/run', ['nosuid', 'nodev']],
    ['/run/gantry/x', ['nosuid', 'nodev']],
    ['/run/a b/secret', ['nosuid', 'nodev', 'noexec']],
    ['/running', []],
    ['/over/x', ['nodev']],
  ])('of %s are %j', (path, flags) => {
    expect(flagsToKeep(mountinfo, path)).toEqual(flags);
  });
});
