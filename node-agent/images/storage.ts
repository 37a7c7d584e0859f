/**
 * The image store over skopeo and containers-storage.
 *
 * Invariants: every blob and manifest is verified against its digest by skopeo before it is used; layers are stored
 * once, whoever refers to them; an image is listed only when all of it is here (the tool writes the index last).
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { GantryError, messageOf } from '../../lib/errors.ts';
import type { Exec } from '../../lib/process.ts';
import type { Image, ImageStore } from './images.ts';
import { classifyPullFailure, explainPullFailure } from './pull-failure.ts';
import { type ImageReference, isReferenceProblem, parseReference } from './reference.ts';
import { sharedWork } from './shared-work.ts';
import { readImages, skipMountHome, storageArguments, storageRoots } from './storage-layout.ts';

export interface ImageStorageOptions {
  /** Serves names without a registry: `10.88.0.1:5000` or `docker.io`. */
  readonly defaultRegistry: string;
  /** Registries (`host:port`) that may be spoken to over plain HTTP or with unknown certificates. */
  readonly insecureRegistries: readonly string[];
  /** The agent's folders; the runtime must be given the same two. */
  readonly dataDir: string;
  readonly runDir: string;
  readonly exec: Exec;
  /** A download that takes longer fails. Default 10 minutes. */
  readonly pullTimeoutMs?: number;
}

const defaultPullTimeoutMs = 600_000;

export function createImageStorage(options: ImageStorageOptions): ImageStore {
  const { exec, defaultRegistry, insecureRegistries, pullTimeoutMs = defaultPullTimeoutMs } = options;
  const roots = storageRoots(options.dataDir, options.runDir);
  const temporaryRoot = `${options.dataDir}/tmp/pulls`;
  let emptied: Promise<void> | undefined;
  const downloads = sharedWork<Image>();

  const parse = (text: string): ImageReference => {
    const parsed = parseReference(text, defaultRegistry);
    if (isReferenceProblem(parsed)) throw explainPullFailure('InvalidImageName', text, parsed.problem);
    return parsed;
  };
  const lookUp = async (reference: ImageReference): Promise<Image | undefined> =>
    (await readImages(roots)).find((image) => image.reference === reference.text);

  /** A folder for one download; what a former agent left there when it was killed goes first. */
  const withTemporaryDir = async <Result>(work: (dir: string) => Promise<Result>): Promise<Result> => {
    emptied ??= rm(temporaryRoot, { recursive: true, force: true });
    await emptied;
    await mkdir(temporaryRoot, { recursive: true });
    const dir = await mkdtemp(`${temporaryRoot}/`);
    try {
      return await work(dir);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  };

  const download = async (reference: ImageReference, temporaryDir: string, signal: AbortSignal): Promise<Image> => {
    const insecure = insecureRegistries.includes(reference.registry) ? ['--src-tls-verify=false'] : [];
    const destination = `containers-storage:[overlay@${roots.root}+${roots.runRoot}:${skipMountHome}]${reference.text}`;
    const source = `docker://${reference.text}`;
    const argv = ['skopeo', '--tmpdir', temporaryDir, 'copy', '--quiet', ...insecure, source, destination];
    const result = await exec.run(argv, { timeoutMs: pullTimeoutMs, signal }).catch((error: unknown) => {
      if (error instanceof GantryError && error.code === 'deadlineExceeded') {
        throw explainPullFailure('RegistryUnavailable', reference.text, `not done within ${pullTimeoutMs / 1000} s`);
      }
      throw error;
    });
    if (result.exitCode !== 0) {
      const { reason, words } = classifyPullFailure(result.stderr);
      throw explainPullFailure(reason, reference.text, words);
    }
    const image = await lookUp(reference);
    if (!image)
      throw explainPullFailure('ErrImagePull', reference.text, 'the local store lost it at once; is its disk healthy?');
    return image;
  };

  return {
    async find(text) {
      return lookUp(parse(text));
    },
    async pull(text, { signal } = {}) {
      const reference = parse(text);
      const begin = (shared: AbortSignal): Promise<Image> =>
        withTemporaryDir((dir) => download(reference, dir, shared)).catch((error: unknown) => {
          throw isFull(error) ? explainPullFailure('NoSpace', reference.text, messageOf(error)) : error;
        });
      return downloads.run(reference.text, begin, signal);
    },
    list: () => readImages(roots),
    async remove(id) {
      const present = (await readImages(roots)).some((image) => image.id === id);
      if (!present) return;
      const result = await exec.run(['containers-storage', ...storageArguments(roots), 'delete-image', id]);
      if (result.exitCode === 0 || /not known/.test(result.stderr)) return;
      if (/in use/.test(result.stderr)) {
        throw new GantryError(
          'failedPrecondition',
          `image ${id.slice(0, 12)} is in use by a container; remove that first`,
        );
      }
      throw new GantryError('internal', `image ${id.slice(0, 12)} could not be removed: ${result.stderr.trim()}`);
    },
  };
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
