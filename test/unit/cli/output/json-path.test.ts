import { describe, expect, it } from 'vitest';
import { parsePath, parseTemplate } from '../../../../cli/output/json-path.ts';

const root = {
  items: [
    {
      metadata: { name: 'a', labels: { 'app.kubernetes.io/name': 'x', 'my-label': 'y' } },
      status: {
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'Other', status: 'False' },
        ],
        n: 3,
      },
    },
    { metadata: { name: 'b' }, status: { conditions: [] } },
  ],
};

describe('JSONPath templates', () => {
  it.each([
    ['{.items[*].metadata.name}', 'a b'],
    ['{.items[*]["metadata"].name}', 'a b'],
    ['{range .items[*]}{.metadata.name}{"\\t"}{.status.n}{"\\n"}{end}', 'a\t3\nb\t\n'],
    ['{range .items[*]}{range .status.conditions[*]}{.type},{end}{end}', 'Ready,Other,'],
    ['{range .items[*]}{.metadata.name}={$.items[0].status.n};{end}', 'a=3;b=3;'],
    ['{.items[0].metadata.labels.app\\.kubernetes\\.io/name}', 'x'],
    ["{.items[0].metadata.labels['app\\.kubernetes\\.io/name']}", 'x'],
    ['{.items[0].metadata.labels.my-label}', 'y'],
    ['{.items[*].status.conditions[?(@.type=="Ready")].status}', 'True'],
    ["{.items[?(@.metadata.labels.my-label=='y')].metadata.name}", 'a'],
    ['{.items[-1:].metadata.name}', 'b'],
    ['{.items[0,1].metadata.name}', 'a b'],
    ['{..name}', 'a b'],
    ['{.items[0].status.conditions[0]}', '{"type":"Ready","status":"True"}'],
    ['{@.items[1].metadata.name} and {$.items[0].metadata.name}', 'b and a'],
    ['no braces', 'no braces'],
    ['{.nope.at.all}', ''],
  ])('%s', (template, text) => {
    expect(parseTemplate(template)(root)).toBe(text);
  });

  it.each([
    ['{.items[0', 'there is a { without its counterpart'],
    ['{range .items[*]}x', '{range} without {end}'],
    ['{end}', '{end} without {range}'],
    ['{"open}', 'counterpart'],
    ['{.a[}', 'a bracket is not closed'],
    ['{.a[0x]}', 'cannot read the JSONPath'],
  ])('refuses %s', (template, sentence) => {
    expect(() => parseTemplate(template)).toThrow(sentence);
  });

  it('reads a path without braces', () => {
    expect(parsePath('.status.n')(root, root.items[0])).toEqual([3]);
  });
});
