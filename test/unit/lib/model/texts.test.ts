import { expect, it } from 'vitest';
import { decodeObject, encodeObject } from '../../../../lib/model/codec.ts';
import { asciiText } from '../../../../lib/model/texts.ts';
import type { ConfigMap } from '../../../../proto/gen/types.ts';

function read(text: string, before = 'xx', after = 'yy'): string | undefined {
  const bytes = Buffer.from(before + text + after, 'latin1');
  return asciiText(bytes, before.length, before.length + text.length);
}

it('reads what stands there, however often and whatever came before', () => {
  const texts = ['', 'a', 'True', 'Ready', 'x'.repeat(64), 'x'.repeat(65), '\u0000\u007f'];
  for (let index = 0; index < 50_000; index += 1) texts.push(`pod-${(index * 7919) % 20_011}`);
  for (const text of texts) if (read(text) !== text) expect(read(text)).toBe(text);
  for (const text of texts.slice(0, 7)) expect(read(text)).toBe(text);
});

it('leaves other text to those who know its encoding', () => {
  expect(read('\u0080')).toBeUndefined();
  expect(read('aé')).toBeUndefined();
});

it('objects come back with every text as it was, and broken UTF-8 is refused', () => {
  const data = {
    ascii: 'plain',
    umlaut: 'ä — 한국어 🚀',
    long: 'long '.repeat(100),
    longer: 'ü'.repeat(300),
    empty: '',
  };
  const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'd' }, data };
  const bytes = encodeObject(object);
  expect((decodeObject('ConfigMap', bytes) as ConfigMap).data).toEqual(data);
  const broken = Buffer.from(bytes);
  broken[broken.indexOf('plain') + 1] = 0xff;
  expect(() => decodeObject('ConfigMap', broken)).toThrow();
});
