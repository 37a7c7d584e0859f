/**
 * What the node's pod lifecycle needs of an image store. `storage.ts` implements it over skopeo and
 * containers-storage (layers shared, digests verified); `fake.ts` in memory.
 */
import { type CodeName, GantryError } from '../../lib/errors.ts';

export interface Image {
  /** Id of the image in the local store (its config digest, hex). */
  readonly id: string;
  /** Manifest digest, `sha256:...`. */
  readonly digest: string;
  /** Fully qualified, as pulled: `10.88.0.1:5000/echo:1`. */
  readonly reference: string;
  readonly sizeBytes: number;
  readonly config: ImageConfig;
}

/** The part of the OCI image config that a container start needs (OCI image-spec, config.md). */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly stopSignal: string;
}

/** Why a pull failed, so that the pod can say the right word. */
export type PullFailure =
  | 'InvalidImageName'
  | 'ErrImagePull'
  | 'ImageNotFound'
  | 'DigestMismatch'
  | 'RegistryUnavailable'
  | 'NoSpace';

const codes: Readonly<Record<PullFailure, CodeName>> = {
  InvalidImageName: 'invalidArgument',
  ErrImagePull: 'internal',
  ImageNotFound: 'notFound',
  DigestMismatch: 'dataLoss',
  RegistryUnavailable: 'unavailable',
  NoSpace: 'resourceExhausted',
};

/** A failed pull: `reason` for the container's waiting state, the message for people. */
export class ImagePullError extends GantryError {
  readonly reason: PullFailure;

  constructor(reason: PullFailure, message: string, options: { cause?: unknown; details?: readonly string[] } = {}) {
    super(codes[reason], message, options);
    this.name = 'ImagePullError';
    this.reason = reason;
  }
}

export interface PullOptions {
  readonly signal?: AbortSignal;
}

export interface ImageStore {
  /** The image if it is here already, without asking a registry. */
  find(reference: string): Promise<Image | undefined>;
  /**
   * Pulls (concurrent pulls of one reference share one download) and verifies. Throws an ImagePullError.
   * `name`, `name:tag`, `host[:port]/name:tag`, `name@sha256:...`; a name without a host uses the default registry.
   */
  pull(reference: string, options?: PullOptions): Promise<Image>;
  list(): Promise<readonly Image[]>;
  /** Removing an absent image is a success; one in use by a container is refused (failedPrecondition). */
  remove(id: string): Promise<void>;
}
