/** What the lab's images are made of, as data. `build.ts` builds them in this order. */

export interface ImageSpec {
  readonly name: string;
  /** Tags besides `latest`. */
  readonly tags: readonly string[];
  /** An earlier image of the list whose layers this one shares; without one it is built on busybox-static alone. */
  readonly base?: string;
  /** Debian packages that hold `programs` and `files`; their libraries are found by following the dependencies. */
  readonly packages: readonly string[];
  /** Executables taken out of the packages, with the shared libraries they load. */
  readonly programs: readonly string[];
  /** Other files taken out of the packages. */
  readonly files: readonly string[];
  /** Symbolic links: path -> target. */
  readonly links: Readonly<Record<string, string>>;
  /** Folders everybody may write to, as /tmp is. */
  readonly sharedFolders: readonly string[];
  readonly config: ImageConfig;
}

/** https://github.com/opencontainers/image-spec/blob/main/config.md */
export interface ImageConfig {
  readonly command: readonly string[];
  readonly ports: readonly number[];
  readonly user?: string;
  readonly workingDir?: string;
}

const nothing = { packages: [], programs: [], files: [], links: {}, sharedFolders: [] };

/** The folder deploy/images/<name>, if there is one, is copied to the image's root. */
export const images: readonly ImageSpec[] = [
  {
    ...nothing,
    name: 'busybox',
    tags: ['1'],
    // busybox's own shell (ash, for interactive use) calls applets without looking at the PATH; see usr/bin/wget.
    packages: ['dash'],
    programs: ['/bin/dash'],
    links: { '/bin/sh': 'dash' },
    sharedFolders: ['/tmp', '/var/tmp'],
    config: { command: ['sh'], ports: [] },
  },
  {
    ...nothing,
    name: 'nginx',
    tags: ['1'],
    base: 'busybox',
    packages: ['nginx', 'nginx-common'],
    programs: ['/usr/sbin/nginx'],
    files: ['/etc/nginx/mime.types'],
    // Compiled in: nginx opens it before it has read its configuration.
    links: { '/var/log/nginx/error.log': '/dev/null' },
    sharedFolders: ['/var/lib/nginx'],
    config: { command: ['drain', 'nginx', '-g', 'daemon off; user root;'], ports: [80] },
  },
  {
    ...nothing,
    name: 'echo',
    tags: ['1'],
    base: 'nginx',
    config: { command: ['echo-server'], ports: [8080] },
  },
  {
    ...nothing,
    name: 'redis',
    tags: ['1', '7'],
    base: 'busybox',
    packages: ['redis-tools'],
    programs: ['/usr/bin/redis-check-rdb', '/usr/bin/redis-cli'],
    links: { '/usr/bin/redis-server': 'redis-check-rdb' }, // one program under two names
    sharedFolders: ['/data'],
    config: { command: ['redis-server', '/etc/redis.conf'], ports: [6379], user: 'nobody', workingDir: '/data' },
  },
];
