/**
 * Builds the lab's images with buildah and pushes them to a Debian docker-registry whose storage is the clone's
 * .cache/registry. Done again only when deploy/images has changed: the stamp beside the storage says what it holds.
 * buildah works in a temporary store of its own, and the registry in a network namespace of its own: no port, no
 * mount and no file but .cache is left.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { withFolderLock } from '../lab/lock.ts';
import type { Host } from '../lab/machine.ts';
import { registryConfig, registryStorage } from '../lab/programs.ts';
import { type ImageSpec, images } from './images.ts';
import { copyProgram, unpackPackages } from './packages.ts';

const sources = import.meta.dirname;
const stampFile = `${registryStorage}.stamp`;
/** In the build's own network namespace; on the underlay every lab gives the registry an address. */
const registry = '127.0.0.1';

/** Returns whether anything had to be built. */
export async function ensureImages(host: Host): Promise<boolean> {
  const wanted = sourceStamp();
  if (readStamp() === wanted) return false;
  mkdirSync(registryStorage, { recursive: true });
  return withFolderLock(host.exec, dirname(registryStorage), async () => {
    if (readStamp() === wanted) return false; // somebody else built them while we waited
    await buildAll(host);
    writeFileSync(stampFile, wanted);
    return true;
  });
}

function readStamp(): string | undefined {
  return existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : undefined;
}

/** Everything an image is made from, the code that makes it included. */
function sourceStamp(): string {
  const hash = createHash('sha256').update(process.arch);
  for (const path of globSync('**/*', { cwd: sources }).sort()) {
    const file = join(sources, path);
    if (statSync(file).isFile()) hash.update(`\0${path}\0`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

async function buildAll(host: Host): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-images-'));
  const build: Build = { host, folder, net: [] };
  try {
    await withRegistry(host, folder, async (netns) => {
      for (const image of images) await buildImage({ ...build, net: [`nsenter`, `--net=${netns}`] }, image);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs docker-registry until `work` has ended; `netns` is where it can be reached. */
async function withRegistry(host: Host, folder: string, work: (netns: string) => Promise<void>): Promise<void> {
  const config = join(folder, 'registry.yml');
  writeFileSync(config, registryConfig(registry, registryStorage));
  const server = host.exec.start(
    ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec docker-registry serve "$0"', config],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  server.on('error', () => {}); // the wait below then fails, and says what it ran
  try {
    const netns = `/proc/${server.pid}/ns/net`;
    const probe = ['nsenter', `--net=${netns}`, 'busybox', 'wget', '-q', '-O', '-', `http://${registry}:5000/v2/`];
    const deadline = host.clock.monotonicMs() + 10_000;
    for (;;) {
      const { exitCode } = await host.exec.run(probe);
      if (exitCode === 0) break;
      if (host.clock.monotonicMs() > deadline) await host.exec.check(probe);
      await host.clock.sleep(50);
    }
    await work(netns);
  } finally {
    server.kill('SIGKILL');
    await ended;
  }
}

interface Build {
  readonly host: Host;
  readonly folder: string;
  /** Enters the network namespace of the registry. */
  readonly net: readonly string[];
}

async function buildImage(build: Build, image: ImageSpec): Promise<void> {
  const root = await assemble(build, image);
  const container = (await buildah(build, ['from', image.base === undefined ? 'scratch' : local(image.base)])).trim();
  await buildah(build, ['copy', container, root, '/']);
  const { command, ports, user, workingDir } = image.config;
  await buildah(build, [
    'config',
    ...[
      '--entrypoint',
      '[]',
      '--cmd',
      JSON.stringify(command),
      '--env',
      'PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ],
    ...ports.flatMap((port) => ['--port', String(port)]),
    ...(user === undefined ? [] : ['--user', user]),
    ...(workingDir === undefined ? [] : ['--workingdir', workingDir]),
    container,
  ]);
  // A fixed time, so that the same sources give the same digest.
  await buildah(build, ['commit', '--timestamp', '0', '--rm', container, local(image.name)]);
  for (const tag of [...image.tags, 'latest']) {
    await buildah(build, [
      'push',
      '--tls-verify=false',
      local(image.name),
      `docker://${registry}:5000/${image.name}:${tag}`,
    ]);
  }
}

const local = (name: string): string => `localhost/${name}:build`;

/** buildah keeps a cache in this folder of the host whatever it is told; it gets one that is gone with it. */
const privateCache = [
  ...['unshare', '--mount', 'sh', '-c'],
  'mount -t tmpfs tmpfs /var/lib/containers && exec "$@"',
  'sh',
];

async function buildah(build: Build, args: readonly string[]): Promise<string> {
  const store = [
    '--root',
    join(build.folder, 'store'),
    '--runroot',
    join(build.folder, 'run'),
    '--storage-driver',
    'vfs',
  ];
  const { stdout } = await build.host.exec.check([...build.net, ...privateCache, 'buildah', ...store, ...args], {
    timeoutMs: 120_000,
    env: { BUILDAH_ISOLATION: 'chroot', TMPDIR: build.folder },
  });
  return stdout;
}

/** The files this image adds to its base, in a folder. */
async function assemble({ host, folder }: Build, image: ImageSpec): Promise<string> {
  const root = join(folder, `${image.name}.root`);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  if (image.base === undefined) await assembleBusybox(host, image, root);
  if (image.packages.length > 0) {
    const tree = await unpackPackages(host.exec, image.packages, join(folder, image.name));
    for (const program of image.programs) await copyProgram(host.exec, tree, program, root);
    for (const file of image.files) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      cpSync(join(tree, file), join(root, file));
    }
  }
  for (const [path, target] of Object.entries(image.links)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  }
  for (const path of image.sharedFolders) {
    mkdirSync(join(root, path), { recursive: true });
    chmodSync(join(root, path), 0o1777);
  }
  if (existsSync(join(sources, image.name))) cpSync(join(sources, image.name), root, { recursive: true });
  await host.exec.check(['chmod', '-R', 'a+rX', root]); // whatever the umask of the clone was
  return root;
}

/** busybox-static, and a link for each of its applets that the image does not replace. */
async function assembleBusybox({ exec }: Host, image: ImageSpec, root: string): Promise<void> {
  for (const path of ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'usr/bin', 'usr/sbin', 'sbin', 'var']) {
    mkdirSync(join(root, path), { recursive: true });
  }
  cpSync('/bin/busybox', join(root, 'bin/busybox'), { dereference: true });
  const { stdout } = await exec.check(['/bin/busybox', '--list-full']);
  for (const applet of stdout.split('\n').filter((path) => path.includes('/') && path !== 'bin/busybox')) {
    mkdirSync(dirname(join(root, applet)), { recursive: true });
    const replaced = `/${applet}` in image.links || existsSync(join(sources, image.name, applet));
    if (!replaced) symlinkSync('/bin/busybox', join(root, applet));
  }
}
