/**
 * Image store and registry in memory, for tests and the simulation. One registry is shared by the stores of all
 * nodes; each store keeps what it pulled. Time passes only through the clock that is given.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import type { Image, ImageConfig, ImageStore, PullFailure } from './images.ts';
import { explainPullFailure } from './pull-failure.ts';
import { type ImageReference, isReferenceProblem, parseReference } from './reference.ts';

export interface FakeRegistry {
  /** Puts an image there; returns its manifest digest. Pushing to a tag again moves the tag. */
  push(reference: string, image?: { readonly config?: Partial<ImageConfig>; readonly sizeBytes?: number }): string;
  /** Every pull of `reference` fails so from now on; `undefined` heals it. */
  fail(reference: string, reason: PullFailure | undefined): void;
  /** False: nothing answers. */
  setAvailable(available: boolean): void;
  /** Used by the stores: the image, or why not. */
  fetch(reference: ImageReference): Image | PullFailure;
}

export const emptyImageConfig: ImageConfig = {
  entrypoint: [],
  cmd: ['/bin/sh'],
  env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  workingDir: '/',
  user: '',
  stopSignal: 'SIGTERM',
};

export function createFakeRegistry(defaultRegistry = 'registry.test:5000'): FakeRegistry {
  const byName = new Map<string, Image>();
  const failures = new Map<string, PullFailure>();
  let available = true;
  const parse = (text: string): ImageReference => {
    const parsed = parseReference(text, defaultRegistry);
    if (isReferenceProblem(parsed)) throw new Error(`fake registry: ${text}: ${parsed.problem}`);
    return parsed;
  };
  return {
    push(reference, { config, sizeBytes = 1_000_000 } = {}) {
      const parsed = parse(reference);
      const id = hash(JSON.stringify([parsed.repository, config ?? {}, sizeBytes]));
      const digest = `sha256:${hash(id)}`;
      const image = { id, digest, reference: parsed.text, sizeBytes, config: { ...emptyImageConfig, ...config } };
      byName.set(parsed.text, image);
      byName.set(`${parsed.registry}/${parsed.repository}@${digest}`, image);
      return digest;
    },
    fail(reference, reason) {
      if (reason) failures.set(parse(reference).text, reason);
      else failures.delete(parse(reference).text);
    },
    setAvailable(value) {
      available = value;
    },
    fetch(reference) {
      if (!available) return 'RegistryUnavailable';
      const failure = failures.get(reference.text);
      if (failure) return failure;
      const image = byName.get(reference.text);
      return image ? { ...image, reference: reference.text } : 'ImageNotFound';
    },
  };
}

export interface FakeImageStoreOptions {
  readonly clock: Clock;
  readonly registry: FakeRegistry;
  readonly defaultRegistry?: string;
  /** How long a download takes. Default 0. */
  readonly pullMs?: number;
  /** Whether a container uses the image (the fake host knows). */
  readonly inUse?: (imageId: string) => boolean;
}

export interface FakeImageStore extends ImageStore {
  /** Downloads begun so far, for tests of sharing. */
  readonly downloads: () => number;
}

export function createFakeImageStore(options: FakeImageStoreOptions): FakeImageStore {
  const { clock, registry, defaultRegistry = 'registry.test:5000', pullMs = 0 } = options;
  const images = new Map<string, Image>();
  const underWay = new Map<string, Promise<Image>>();
  let downloads = 0;

  const parse = (text: string): ImageReference => {
    const parsed = parseReference(text, defaultRegistry);
    if (isReferenceProblem(parsed)) throw explainPullFailure('InvalidImageName', text, parsed.problem);
    return parsed;
  };
  const download = async (reference: ImageReference): Promise<Image> => {
    downloads += 1;
    if (pullMs > 0) await clock.sleep(pullMs);
    const image = registry.fetch(reference);
    if (typeof image === 'string') throw explainPullFailure(image, reference.text, 'injected by the fake registry');
    images.set(reference.text, image);
    return image;
  };
  return {
    downloads: () => downloads,
    async find(text) {
      return images.get(parse(text).text);
    },
    async pull(text, { signal } = {}) {
      const reference = parse(text);
      signal?.throwIfAborted();
      let shared = underWay.get(reference.text);
      if (!shared) {
        shared = download(reference).finally(() => underWay.delete(reference.text));
        underWay.set(reference.text, shared);
      }
      return shared;
    },
    async list() {
      return [...images.values()];
    },
    async remove(id) {
      if (options.inUse?.(id)) {
        throw new GantryError(
          'failedPrecondition',
          `image ${id.slice(0, 12)} is in use by a container; remove that first`,
        );
      }
      for (const [name, image] of images) if (image.id === id) images.delete(name);
    },
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
