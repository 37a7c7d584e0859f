/** The `ctl` on everybody's PATH: a link to this clone's launcher, made only when the name is free. */
import { lstatSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cloneFolder } from './lab/state.ts';

const link = '/usr/local/bin/ctl';
const launcher = join(cloneFolder, 'cli/ctl');

/** Returns the command to call: "ctl" when the link is ours, else the launcher's path. */
export function linkLauncher(): string {
  if (isOurs()) return 'ctl';
  try {
    lstatSync(link);
    return launcher; // the name is taken
  } catch {
    symlinkSync(launcher, link);
    return 'ctl';
  }
}

export function unlinkLauncher(): void {
  if (isOurs()) rmSync(link);
}

function isOurs(): boolean {
  try {
    return readlinkSync(link) === launcher;
  } catch {
    return false;
  }
}
