/**
 * Where containers-storage keeps what on disk. The agent owns its store, so it may read the index files as they are:
 * that costs microseconds where asking the tool costs a process. Writing goes through the tools alone.
 */
import { readFile } from 'node:fs/promises';
import { GantryError } from '../../lib/errors.ts';
import type { Image, ImageConfig } from './images.ts';

export interface StorageRoots {
  /** Layers, images, containers; survives a reboot. */
  readonly root: string;
  /** Mount counts and locks; does not. */
  readonly runRoot: string;
}

export function storageRoots(dataDir: string, runDir: string): StorageRoots {
  return { root: `${dataDir}/storage`, runRoot: `${runDir}/storage` };
}

/** The arguments that point `containers-storage` at these roots. */
export function storageArguments({ root, runRoot }: StorageRoots): readonly string[] {
  return ['--graph', root, '--run', runRoot, '--storage-driver', 'overlay', '--storage-opt', skipMountHome];
}

/** Without this the driver bind-mounts its own folder on itself, and that mount would outlive us. */
export const skipMountHome = 'overlay.skip_mount_home=true';

interface StoredImage {
  readonly id: string;
  readonly digest?: string;
  readonly names?: readonly string[];
  readonly layer?: string;
}

interface StoredLayer {
  readonly id: string;
  readonly parent?: string;
  readonly 'diff-size'?: number;
}

/** Every image under every name it has. */
export async function readImages(roots: StorageRoots): Promise<readonly Image[]> {
  const stored = await readIndex<StoredImage>(`${roots.root}/overlay-images/images.json`);
  if (stored.length === 0) return [];
  const layers = await readIndex<StoredLayer>(`${roots.root}/overlay-layers/layers.json`);
  const images: Image[] = [];
  for (const image of stored) {
    const config = await readImageConfig(roots, image.id);
    const common = { id: image.id, digest: image.digest ?? '', sizeBytes: sizeOf(image, layers), config };
    for (const reference of image.names ?? []) images.push({ ...common, reference });
  }
  return images;
}

/** The config of the image with this id. */
export async function readImageConfig(roots: StorageRoots, id: string): Promise<ImageConfig> {
  const name = Buffer.from(`sha256:${id}`).toString('base64');
  const text = await readFile(`${roots.root}/overlay-images/${id}/=${name}`, 'utf8').catch((cause: unknown) => {
    throw new GantryError('notFound', `image ${id.slice(0, 12)} is not on this node; pull it again`, { cause });
  });
  return parseImageConfig(text);
}

/** OCI image-spec, config.md; also Docker's form, which is the same where we look. */
export function parseImageConfig(text: string): ImageConfig {
  const config = (JSON.parse(text) as { config?: Record<string, unknown> }).config ?? {};
  const strings = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
  const string = (value: unknown, otherwise: string): string =>
    typeof value === 'string' && value !== '' ? value : otherwise;
  return {
    entrypoint: strings(config.Entrypoint),
    cmd: strings(config.Cmd),
    env: strings(config.Env),
    workingDir: string(config.WorkingDir, '/'),
    user: string(config.User, ''),
    stopSignal: string(config.StopSignal, 'SIGTERM'),
  };
}

function sizeOf(image: StoredImage, layers: readonly StoredLayer[]): number {
  let size = 0;
  let next = image.layer;
  while (next !== undefined) {
    const layer = layers.find((candidate) => candidate.id === next);
    size += layer?.['diff-size'] ?? 0;
    next = layer?.parent;
  }
  return size;
}

/** The tools replace an index by renaming, so a read sees a whole one; absent means empty. */
async function readIndex<Entry>(path: string): Promise<readonly Entry[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text === '' ? [] : (JSON.parse(text) as Entry[]);
}
