/** YAML as Kubernetes manifests use it. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { manifestYaml } from '../../../../lib/model/yaml.ts';

describe('manifest YAML', () => {
  it.each([
    ['0644', 420],
    ['0400', 256],
    ['0o644', 420],
    ['420', 420],
    ['0', 0],
    ['-010', -8],
    ['0800', 800],
    ['"0644"', '0644'],
    ['1.5', 1.5],
    ['yes', 'yes'],
    ['22:22', '22:22'],
    ['0x1f', 31],
    ['1e3', 1000],
    ['500m', '500m'],
  ])('%s is %j', (text, value) => {
    expect(parse(`a: ${text}`, manifestYaml)).toEqual({ a: value });
  });

  it('merges with <<', () => {
    expect(parse('base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}', manifestYaml).use).toEqual({ x: 1, y: 3 });
  });
});
