import { expect, test } from 'vitest';
import { createAnswerCache } from '../../../../lib/dns/answer-cache.ts';

const query = Buffer.alloc(32);

test('answers are kept in turn until there are too many, or they are too large together', () => {
  const cache = createAnswerCache();
  const large = Buffer.alloc(64 * 1024);
  cache.set('first', 20, [large]);
  expect(cache.get('first', query)).toHaveLength(large.length);
  // 200 answers of 8 orders: 100 MiB, were all of them kept.
  for (let index = 0; index < 200; index += 1) cache.set(`k${index}`, 20, Array(8).fill(large));
  const kept = Array.from({ length: 200 }, (_, index) => cache.get(`k${index}`, query)).filter(Boolean);
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length * 8 * large.length).toBeLessThanOrEqual(16 * 1024 * 1024);
  expect(cache.get('first', query)).toBeUndefined();
});
