/**
 * Flags a bind mount must keep. A user namespace may not loosen what was locked outside it: remounting a volume read-only
 * without repeating its `nosuid`, `nodev` and `noexec` is refused (mount_namespaces(7)). Pure.
 */

const lockedFlags = ['nosuid', 'nodev', 'noexec'];

/** The flags of the mount that `path` (without symbolic links) lies on, from /proc/self/mountinfo. */
export function flagsToKeep(mountinfo: string, path: string): readonly string[] {
  let longest = -1;
  let options: readonly string[] = [];
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const point = decodeBlanks(fields[4] ?? '');
    const covers = point === '/' || path === point || path.startsWith(`${point}/`);
    // Of two mounts on one point the later one is on top.
    if (point === '' || !covers || point.length < longest) continue;
    longest = point.length;
    options = (fields[5] ?? '').split(',');
  }
  return lockedFlags.filter((flag) => options.includes(flag));
}

/** The kernel writes blanks in paths as octal (`\040`). */
function decodeBlanks(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
