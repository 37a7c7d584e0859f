/** Failed pulls in words: which PullFailure skopeo's output means, and the sentence people read. Pure. */
import { ImagePullError, type PullFailure } from './images.ts';

/** The error for `reason`, with a sentence that names the next step; `words` are the tool's own. */
export function explainPullFailure(reason: PullFailure, reference: string, words: string): ImagePullError {
  const sentences: Readonly<Record<PullFailure, string>> = {
    InvalidImageName: `invalid image name "${reference}": ${words}; write [registry/]name[:tag] or name@sha256:...`,
    ImageNotFound: `image "${reference}" not found in the registry; check the name and tag`,
    DigestMismatch: `image "${reference}": what the registry sent does not match its digest and was refused; check the digest or push the image again`,
    RegistryUnavailable: `image "${reference}": the registry cannot be reached (${words}); check its address and that it runs`,
    NoSpace: `image "${reference}": no space left on the node's disk; free some or remove unused images`,
    ErrImagePull: `image "${reference}" could not be pulled: ${words}`,
  };
  return new ImagePullError(reason, sentences[reason], { details: [words] });
}
