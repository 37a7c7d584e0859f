/**
 * How manifests are written: YAML 1.2, with the two habits of YAML 1.1 that Kubernetes manifests rely on: `0644` is an
 * octal number (read as decimal, a Secret's `defaultMode: 0400` would open it to a group), and `<<` merges.
 * To be given to the yaml package's parsers.
 */
import type { DocumentOptions, ParseOptions, ScalarTag, SchemaOptions } from 'yaml';

const octal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^[-+]?0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
  format: 'OCT',
};

export const manifestYaml: ParseOptions & DocumentOptions & SchemaOptions = {
  merge: true,
  customTags: (tags) => [octal, ...tags],
};
