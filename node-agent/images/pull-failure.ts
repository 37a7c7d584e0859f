/** Failed pulls in words: which PullFailure skopeo's output means, and the sentence people read. Pure. */
import { ImagePullError, type PullFailure } from './images.ts';

/** The error for `reason`, with a sentence that names the next step; `words` are the tool's own. */
export function explainPullFailure(reason: PullFailure, reference: string, words: string): ImagePullError {
  const sentences: Readonly<Record<PullFailure, string>> = {
    InvalidImageName: `invalid image name "${reference}": ${words}; write [registry/]name[:tag] or name@sha256:<digest>`,
    ImageNotFound: `image "${reference}" not found in the registry; check the name and tag`,
    DigestMismatch: `image "${reference}": what the registry sent does not match its digest and was refused; check the digest or push the image again`,
    RegistryUnavailable: `image "${reference}": the registry cannot be reached (${words}); check its address and that it runs`,
    NoSpace: `image "${reference}": no space left on the node's disk; free some or remove unused images`,
    ErrImagePull: `image "${reference}" could not be pulled: ${words}`,
  };
  return new ImagePullError(reason, sentences[reason], { details: [words] });
}

/** First match wins: a full disk or a wrong digest may also mention what comes later. */
const signs: readonly (readonly [RegExp, PullFailure])[] = [
  [/no space left on device|disk quota exceeded/i, 'NoSpace'],
  [
    /digest did not match|does not match (?:provided )?(?:manifest )?digest|digest mismatch|does not match expected/i,
    'DigestMismatch',
  ],
  [/manifest unknown|name unknown|repository name not known|manifest.*not found|status code 404/i, 'ImageNotFound'],
  [
    /connection refused|no such host|i\/o timeout|timeout exceeded|no route to host|network is unreachable|handshake timeout|connection reset|unexpected EOF|: EOF|(?:HTTP status|status code):? 5\d\d|server misbehaving/i,
    'RegistryUnavailable',
  ],
];

/** What skopeo's standard error means. */
export function classifyPullFailure(stderr: string): { readonly reason: PullFailure; readonly words: string } {
  const words = lastWords(stderr);
  return { reason: signs.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'ErrImagePull', words: hint(words) };
}

/** skopeo prints `time="..." level=fatal msg="..."`; people want the end of the message's chain. */
function lastWords(stderr: string): string {
  const line = stderr.trim().split('\n').at(-1) ?? '';
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replace(/\\(.)/g, '$1') ?? line;
  const chain = message.split(/: (?=[A-Za-z])/);
  return chain.slice(-2).join(': ').trim() || 'no reason given';
}

function hint(words: string): string {
  if (!words.includes('HTTP response to HTTPS client')) return words;
  return `${words}; if this registry speaks plain HTTP, list it as an insecure registry`;
}
