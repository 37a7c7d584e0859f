/** The `ctl` on everybody's PATH: a link to this clone's launcher, made only when the name is free. */
import { lstatSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cloneFolder } from './lab/state.ts';

const link = '/usr/local/bin/ctl';
const launcher = join(cloneFolder, 'cli/ctl');

/** What to call: "ctl" when the link is ours, else the launcher's path. */
export function launcherCommand(): string {
  return isOurs() ? 'ctl' : launcher;
}

export function linkLauncher(): void {
  try {
    lstatSync(link); // the name is taken, by us or by somebody else
  } catch {
    symlinkSync(launcher, link);
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
