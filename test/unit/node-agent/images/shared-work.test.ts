import { describe, expect, it } from 'vitest';
import { sharedWork } from '../../../../node-agent/images/shared-work.ts';

/** Work that ends when told to, and counts how often it was begun. */
function controlled() {
  const ends: PromiseWithResolvers<string>[] = [];
  const signals: AbortSignal[] = [];
  const begin = (signal: AbortSignal): Promise<string> => {
    const end = Promise.withResolvers<string>();
    ends.push(end);
    signals.push(signal);
    signal.addEventListener('abort', () => end.reject(signal.reason));
    return end.promise;
  };
  return { ends, signals, begin };
}

describe('sharedWork', () => {
  it('begins once for callers of the same key at the same time', async () => {
    const { ends, begin } = controlled();
    const work = sharedWork<string>();
    const both = Promise.all([work.run('a', begin), work.run('a', begin)]);
    expect(ends).toHaveLength(1);
    ends[0]!.resolve('done');
    expect(await both).toEqual(['done', 'done']);
  });

  it('begins anew after the end, and after a failure', async () => {
    const { ends, begin } = controlled();
    const work = sharedWork<string>();
    const first = work.run('a', begin);
    ends[0]!.reject(new Error('no'));
    await expect(first).rejects.toThrow('no');
    const second = work.run('a', begin);
    expect(ends).toHaveLength(2);
    ends[1]!.resolve('yes');
    expect(await second).toBe('yes');
  });

  it('goes on for the others when one caller gives up, and is aborted when all do', async () => {
    const { signals, begin } = controlled();
    const work = sharedWork<string>();
    const [one, other] = [new AbortController(), new AbortController()];
    const first = work.run('a', begin, one.signal);
    const second = work.run('a', begin, other.signal);
    one.abort();
    await expect(first).rejects.toThrow();
    expect(signals[0]!.aborted).toBe(false);
    other.abort();
    await expect(second).rejects.toThrow();
    expect(signals[0]!.aborted).toBe(true);
  });

  it('keeps keys apart', async () => {
    const { ends, begin } = controlled();
    const work = sharedWork<string>();
    const all = Promise.all([work.run('a', begin), work.run('b', begin)]);
    ends.forEach((end, index) => void end.resolve(String(index)));
    expect(await all).toEqual(['0', '1']);
  });
});
