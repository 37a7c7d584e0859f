import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalText, isSame } from '../../../../lib/model/object.ts';

const cases: readonly [name: string, a: unknown, b: unknown, same: boolean][] = [
  ['order of fields', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }, true],
  ['absent, undefined and an empty list', { a: 1, b: [], c: undefined }, { a: 1 }, true],
  ['nothing at all', undefined, [], true],
  ['an empty message means something', { emptyDir: {} }, {}, false],
  ['order of a list', { a: [1, 2] }, { a: [2, 1] }, false],
  ['a list within a list', { a: [[], [1]] }, { a: [undefined, [1]] }, true],
  ['a longer list', { a: [1] }, { a: [1, 2] }, false],
  ['one more member', { a: 1 }, { a: 1, b: 2 }, false],
  ['a label called constructor', {}, { constructor: 'x' }, false],
  ['null is a value', { a: null }, {}, false],
  ['number and text', { a: 1 }, { a: '1' }, false],
];

describe('isSame', () => {
  it.each(cases)('%s', (_name, a, b, same) => {
    expect(isSame(a, b)).toBe(same);
    expect(isSame(b, a)).toBe(same);
    expect(canonicalText(a) === canonicalText(b)).toBe(same);
  });

  it('agrees with the canonical text on any data', () => {
    const scalar = fc.constantFrom(undefined, null, 0, 1, '', 'a', true);
    const { data } = fc.letrec((tie) => ({
      data: fc.oneof(
        { maxDepth: 3 },
        scalar,
        fc.array(tie('data'), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'constructor'), tie('data'), { maxKeys: 2, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(data, data, (a, b) => isSame(a, b) === (canonicalText(a) === canonicalText(b))),
      { numRuns: 2_000 },
    );
  });
});
