/** A local registry with a small image in it, for contract tests: Debian's docker-registry, filled by buildah. */
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import type { Exec } from '../../lib/process.ts';
import { waitUntil } from '../../node-agent/runtime/wait.ts';

export interface TestRegistry {
  /** `127.0.0.1:port`. */
  readonly address: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Builds and pushes `name`: busybox with a passwd of its own, and one file in `marker` layers. */
  push(name: string, marker?: string): Promise<void>;
  /** Overwrites every layer blob, so that none matches its digest. */
  corruptBlobs(): Promise<void>;
  /** Stops it and removes its files. */
  dispose(): Promise<void>;
}

const applets = [
  'cat',
  'chmod',
  'dd',
  'echo',
  'env',
  'false',
  'head',
  'hostname',
  'id',
  'ls',
  'mkdir',
  'mount',
  'nc',
  'ps',
];
const moreApplets = ['sh', 'sleep', 'stat', 'stty', 'tail', 'touch', 'true', 'tty', 'wc'];

export async function startTestRegistry(exec: Exec): Promise<TestRegistry> {
  const dir = await mkdtemp(join(tmpdir(), 'gantry-registry-'));
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  await writeFile(
    `${dir}/config.yml`,
    `version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: ${dir}/data } }\nhttp: { addr: '${address}' }\n`,
  );
  let ended: Promise<unknown> | undefined;
  let end = (): void => {};

  const start = async (): Promise<void> => {
    const child = exec.start(['docker-registry', 'serve', `${dir}/config.yml`], { stdio: 'ignore' });
    ended = new Promise((resolve) => child.once('exit', resolve));
    end = () => void child.kill('SIGKILL');
    const up = await waitUntil(systemClock, 20_000, () =>
      fetch(`http://${address}/v2/`).then(
        (r) => r.ok,
        () => false,
      ),
    );
    if (!up) throw new Error('docker-registry does not answer');
  };
  const stop = async (): Promise<void> => {
    end();
    await ended;
  };

  const buildah = (...words: string[]): Promise<unknown> =>
    exec.check(['buildah', '--root', `${dir}/storage`, '--runroot', `${dir}/run`, '--storage-driver', 'vfs', ...words]);

  await start();
  return {
    address,
    start,
    stop,
    async push(name, marker) {
      const root = `${dir}/root`;
      await rm(root, { recursive: true, force: true });
      for (const folder of ['bin', 'etc', 'tmp', 'owned']) await mkdir(`${root}/${folder}`, { recursive: true });
      await copyFile('/bin/busybox', `${root}/bin/busybox`);
      for (const applet of [...applets, ...moreApplets]) await symlink('busybox', `${root}/bin/${applet}`);
      await writeFile(`${root}/etc/passwd`, 'root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/:/bin/sh\n');
      await writeFile(`${root}/etc/group`, 'root:x:0:\nweb:x:102:\nextra:x:200:web\n');
      if (marker !== undefined) await writeFile(`${root}/marker`, marker);
      await buildah('from', '--name', 'work', 'scratch');
      await buildah('copy', '--chown', '0:0', 'work', root, '/');
      await buildah(
        'config',
        '--cmd',
        '/bin/sh',
        '--env',
        'PATH=/bin',
        '--env',
        'FROM_IMAGE=yes',
        '--stop-signal',
        'SIGQUIT',
        'work',
      );
      await buildah('commit', '--quiet', '--tls-verify=false', 'work', `docker://${address}/${name}`);
      await buildah('rm', 'work');
    },
    async corruptBlobs() {
      const entries = await readdir(`${dir}/data`, { recursive: true });
      for (const entry of entries.filter((path) => path.endsWith('/data') && path.includes('blobs/sha256'))) {
        const content = await readFile(`${dir}/data/${entry}`);
        if (content[0] !== 0x1f) continue; // manifests and configs are JSON; only layers are gzip
        content[content.length - 20]! ^= 0xff;
        await writeFile(`${dir}/data/${entry}`, content);
      }
    },
    async dispose() {
      await stop();
      // buildah's driver mounts its folder on itself.
      for (const point of mountPointsBelow(dir)) await exec.run(['umount', point]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Mount points below `dir`, innermost first. */
export function mountPointsBelow(dir: string): readonly string[] {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => point.startsWith(`${dir}/`)).sort((a, b) => b.length - a.length);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound ? bound.port : 0));
    });
  });
}
