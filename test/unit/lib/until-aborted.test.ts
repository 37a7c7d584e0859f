/** A wait that ends with a signal, and what it leaves behind. */
import { EventEmitter, getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { drain } from '../../../lib/rpc/streams.ts';
import { untilAborted } from '../../../lib/until-aborted.ts';

describe('untilAborted', () => {
  it('gives the outcome of the promise', async () => {
    const { signal } = new AbortController();
    await expect(untilAborted(Promise.resolve(1), signal)).resolves.toBe(1);
    await expect(untilAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  });

  it('rejects with the reason of an abort, before and meanwhile', async () => {
    const stop = new AbortController();
    const waiting = untilAborted(new Promise(() => {}), stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(untilAborted(new Promise(() => {}), stop.signal)).rejects.toThrow('enough');
  });

  it('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    for (let turn = 0; turn < 10; turn += 1) await untilAborted(Promise.resolve(turn), signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('drain', () => {
  it('takes no memory for what it has written, however long the stream lasts', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heapBytes = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const call = Object.assign(new EventEmitter(), { write: () => true });
    let grownBytes = 0;
    async function* source(): AsyncGenerator<object> {
      const message = {};
      yield message;
      const before = heapBytes();
      for (let count = 0; count < 50_000; count += 1) yield message;
      grownBytes = heapBytes() - before;
    }
    await drain(source(), call, new AbortController().signal);
    expect(grownBytes).toBeLessThan(3_000_000); // some 60 bytes a message; a race's traces have 250
  }, 20_000);
});
