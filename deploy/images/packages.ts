/** Takes programs out of Debian packages, with exactly the shared libraries they load. Nothing is installed. */
import { cpSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GantryError } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';

/** Where each architecture's programs look for their loader (PT_INTERP, fixed by the ABI). */
const loaders: Readonly<Record<string, string>> = {
  x64: '/lib64/ld-linux-x86-64.so.2',
  arm64: '/lib/ld-linux-aarch64.so.1',
};

/** Downloads the packages and the libraries they depend on (verified by apt) and unpacks all into one tree. */
export async function unpackPackages(exec: Exec, packages: readonly string[], folder: string): Promise<string> {
  const all = [...packages, ...(await libraryPackages(exec, packages))];
  const downloads = join(folder, 'debs');
  const tree = join(folder, 'tree');
  mkdirSync(downloads, { recursive: true });
  mkdirSync(tree, { recursive: true });
  const download = ['apt-get', '--quiet', '--option', 'APT::Sandbox::User=root', 'download', ...all];
  const first = await exec.run(download, { cwd: downloads, timeoutMs: 300_000 });
  if (first.exitCode !== 0) {
    // The lists may be missing, or name versions the mirror has replaced.
    await exec.check(['apt-get', '--quiet', 'update'], { timeoutMs: 300_000 });
    await exec.check(download, { cwd: downloads, timeoutMs: 300_000 });
  }
  for (const file of readdirSync(downloads)) await exec.check(['dpkg-deb', '-x', join(downloads, file), tree]);
  return tree;
}

/** The packages of libraries that `packages` depend on, however far away. */
async function libraryPackages(exec: Exec, packages: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (let next = [...packages]; next.length > 0; ) {
    const { stdout } = await exec.check(['apt-cache', 'depends', '--important', ...next]);
    next = libraryDependencies(stdout).filter((name) => !found.has(name));
    for (const name of next) found.add(name);
  }
  return [...found];
}

/** Pure: names of libraries in the output of `apt-cache depends`; virtual packages (in angle brackets) are left out. */
export function libraryDependencies(output: string): string[] {
  const names = [...output.matchAll(/^ [ |](?:Pre)?Depends: ((?:lib|zlib)[a-z0-9.+-]*)$/gm)].map((match) => match[1]!);
  return [...new Set(names)];
}

/** Copies `program` from the unpacked tree to the image's root, and every library it loads. */
export async function copyProgram(exec: Exec, tree: string, program: string, root: string): Promise<void> {
  const loaderPath = loaders[process.arch];
  if (loaderPath === undefined) throw new GantryError('unimplemented', `no images for architecture ${process.arch}`);
  const folders = libraryFolders(tree);
  const loader = folders.map((folder) => join(folder, basename(loaderPath))).find((path) => exists(path));
  if (loader === undefined) throw new GantryError('internal', `package libc6 holds no ${basename(loaderPath)}`);

  const source = realpathSync(join(tree, program));
  const { stdout } = await exec.check([loader, '--library-path', folders.join(':'), '--list', source]);
  copy(source, join(root, program));
  copy(loader, join(root, loaderPath));
  for (const library of loadedLibraries(stdout, tree)) {
    copy(library, join(root, 'lib', basename(dirname(library)), basename(library)));
  }
}

/** Pure: paths below `tree` in the output of `ld.so --list`. */
export function loadedLibraries(output: string, tree: string): string[] {
  return [...output.matchAll(/=> (\S+) \(0x/g)].map((match) => match[1]!).filter((path) => path.startsWith(`${tree}/`));
}

function libraryFolders(tree: string): string[] {
  return ['lib', 'usr/lib'].flatMap((folder) => {
    const path = join(tree, folder);
    if (!exists(path)) return [];
    const triplets = readdirSync(path).filter((name) => name.endsWith('-linux-gnu'));
    return [...triplets.map((name) => join(path, name)), path];
  });
}

/** Follows symbolic links: the copy is the file itself, under the name it is asked for by. */
function copy(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  cpSync(realpathSync(source), target);
}

function exists(path: string): boolean {
  try {
    realpathSync(path);
    return true;
  } catch {
    return false;
  }
}
