/**
 * Image references as people write them, made whole: `nginx` is `<default registry>/nginx:latest`.
 *
 * The grammar is the one of distribution/reference (https://github.com/distribution/reference): the part before the
 * first slash is a registry only if it has a dot or a colon or is `localhost`. On docker.io a name of one part lives
 * below `library/`. A digest wins over a tag.
 */

export interface ImageReference {
  /** `host[:port]`, or `docker.io`. */
  readonly registry: string;
  /** `library/nginx`. */
  readonly repository: string;
  /** Absent when a digest names the image. */
  readonly tag?: string;
  /** `sha256:<64 hex digits>`. */
  readonly digest?: string;
  /** All of it: `registry/repository:tag` or `registry/repository@digest`. */
  readonly text: string;
}

/** Why a text is no image reference, as the end of a sentence: "invalid image name "Foo": ...". */
export interface ReferenceProblem {
  readonly problem: string;
}

const registryPattern =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestPattern = /^sha256:[0-9a-f]{64}$/;
const longestRepository = 255;

/** Parses and completes `text`; `defaultRegistry` serves names that have none. */
export function parseReference(text: string, defaultRegistry: string): ImageReference | ReferenceProblem {
  if (text === '') return { problem: 'the name is empty' };
  if (/\s/.test(text)) return { problem: 'it has white space in it' };
  const [beforeDigest, digest, ...rest] = text.split('@');
  if (rest.length > 0) return { problem: 'it has more than one "@"' };
  if (digest !== undefined && !digestPattern.test(digest)) {
    return { problem: `the digest "${digest}" is not "sha256:" and 64 lower-case hex digits` };
  }
  const { registry, remainder } = splitRegistry(beforeDigest!, defaultRegistry);
  if (!registryPattern.test(registry)) return { problem: `"${registry}" is not a registry host` };

  const [name, tag, ...more] = remainder.split(':');
  if (more.length > 0) return { problem: 'it has more than one tag' };
  if (tag !== undefined && !tagPattern.test(tag)) {
    return { problem: `the tag "${tag}" may have letters, digits, "_", "." and "-" only (at most 128)` };
  }
  const bad = name!.split('/').find((component) => !componentPattern.test(component));
  if (bad !== undefined) {
    return { problem: `"${bad}" may have lower-case letters and digits only, joined by ".", "_" or "-"` };
  }
  const repository = registry === 'docker.io' && !name!.includes('/') ? `library/${name}` : name!;
  if (repository.length > longestRepository)
    return { problem: `the name is longer than ${longestRepository} characters` };

  const whole = `${registry}/${repository}`;
  if (digest !== undefined) return { registry, repository, digest, text: `${whole}@${digest}` };
  return { registry, repository, tag: tag ?? 'latest', text: `${whole}:${tag ?? 'latest'}` };
}

function splitRegistry(name: string, defaultRegistry: string): { registry: string; remainder: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  if (first !== '' && (/[.:]/.test(first) || first === 'localhost')) {
    return { registry: dockerAlias(first), remainder: name.slice(slash + 1) };
  }
  return { registry: dockerAlias(defaultRegistry), remainder: name };
}

/** docker.io has one canonical spelling. */
function dockerAlias(registry: string): string {
  return registry === 'index.docker.io' || registry === 'registry-1.docker.io' ? 'docker.io' : registry;
}

export function isReferenceProblem(parsed: ImageReference | ReferenceProblem): parsed is ReferenceProblem {
  return 'problem' in parsed;
}
