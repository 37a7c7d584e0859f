/** kubectl's tables and describe columns, to the space. */
import { describe, expect, it } from 'vitest';
import { age, shortDuration } from '../../../../cli/output/age.ts';
import { alignTabs } from '../../../../cli/output/align.ts';
import { createTableWriter, renderTable } from '../../../../cli/output/table.ts';

describe('renderTable', () => {
  it('puts three spaces between columns and none at the end', () => {
    const text = renderTable(
      ['NAME', 'AGE'],
      [
        ['web-1', '5s'],
        ['a', '12m'],
      ],
    );
    expect(text).toBe('NAME    AGE\nweb-1   5s\na       12m\n');
  });

  it('leaves empty last cells without trailing space', () => {
    expect(renderTable(undefined, [['a', '', '']])).toBe('a\n');
    expect(renderTable(['A', 'B'], [])).toBe('A   B\n');
  });

  it('keeps widths when the table grows', () => {
    const write = createTableWriter();
    expect(write(['NAME', 'AGE'], [['long-name', '1s']])).toBe('NAME        AGE\nlong-name   1s\n');
    expect(write(undefined, [['a', '2s']])).toBe('a           2s\n');
    expect(write(undefined, [['a-longer-name', '3s']])).toBe('a-longer-name   3s\n');
  });
});

describe('alignTabs', () => {
  it('aligns lines that follow one another, and ends a column where a line lacks it', () => {
    const lines = ['Name:\tweb', 'Labels:\tapp=web', '\ttier=front', 'Containers:', '  web:\tx', '  longer:\ty'];
    expect(alignTabs(lines)).toBe(
      'Name:    web\nLabels:  app=web\n         tier=front\nContainers:\n  web:     x\n  longer:  y\n',
    );
  });

  it('aligns inner columns only among lines that have them', () => {
    expect(alignTabs(['a\tbb\tc', 'aaa\tb\tc', 'a\tend', 'a\tbbbb\tc'])).toBe(
      'a    bb  c\naaa  b   c\na    end\na    bbbb  c\n',
    );
  });
});

describe('ages', () => {
  it.each([
    [0, '0s'],
    [-5, '0s'],
    [119, '119s'],
    [120, '2m'],
    [200, '3m20s'],
    [600, '10m'],
    [10_799, '179m'],
    [10_800, '3h'],
    [11_000, '3h3m'],
    [28_800, '8h'],
    [172_799, '47h'],
    [172_800, '2d'],
    [183_600, '2d3h'],
    [691_200, '8d'],
    [63_072_000, '2y'],
    [315_360_000, '10y'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(shortDuration(seconds * 1000)).toBe(text);
  });

  it('does not know the age of what has no time', () => {
    expect(age(undefined, 0)).toBe('<unknown>');
  });
});
