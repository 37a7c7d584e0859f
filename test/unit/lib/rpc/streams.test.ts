/** Messages between a gRPC call and those who read and write it, with streams of Node's own in the call's place. */
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { Inbox } from '../../../../lib/rpc/inbox.ts';
import { Outgoing } from '../../../../lib/rpc/outgoing.ts';
import { drain } from '../../../../lib/rpc/streams.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an inbox', () => {
  const scene = () => {
    const call = new PassThrough({ objectMode: true, highWaterMark: 4 });
    const abort = new AbortController();
    return { call, abort, inbox: new Inbox<{ n: number }>(call, abort.signal) };
  };

  test('hands on what comes, in order, to the end, whether it was waited for or not', async () => {
    const { call, inbox } = scene();
    const waited = inbox.next();
    for (let n = 1; n <= 100; n += 1) {
      call.write({ n });
      if (n % 30 === 0) await turn();
    }
    call.end();
    expect(await waited).toEqual({ done: false, value: { n: 1 } });
    const rest: number[] = [];
    for await (const { n } of inbox) rest.push(n);
    expect(rest).toEqual(Array.from({ length: 99 }, (_, index) => index + 2));
    expect((await inbox.next()).done).toBe(true);
  });

  test('reads ahead only so far', async () => {
    const { call, inbox } = scene();
    let taken = 0;
    for (let n = 1; n <= 200 && call.write({ n }); n += 1) {
      taken = n;
      await turn();
    }
    expect(taken).toBeLessThan(40);
    for (let n = 1; n <= taken; n += 1) expect((await inbox.next()).value).toEqual({ n });
    call.write({ n: 1000 });
    for (let next = await inbox.next(); next.value.n !== 1000; next = await inbox.next());
  });

  test('rejects when the call breaks, is given up, or is closed before its end', async () => {
    const given = scene();
    const waiting = given.inbox.next();
    given.abort.abort(new Error('given up'));
    await expect(waiting).rejects.toThrow('given up');
    await expect(given.inbox.next()).rejects.toThrow('given up');
    const closed = scene();
    closed.call.destroy();
    await expect(closed.inbox.next()).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('hands on what had come before the call broke', async () => {
    const { call, inbox } = scene();
    for (let n = 1; n <= 30; n += 1) {
      call.write({ n });
      await turn();
    }
    call.emit('error', new Error('broken'));
    call.end();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { n } of inbox) seen.push(n);
    })();
    await expect(reading).rejects.toThrow('broken');
    expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  });

  test('ends for who reads no more, and leaves the call alone', async () => {
    const { call, inbox } = scene();
    call.write({ n: 1 });
    for await (const { n } of inbox) if (n === 1) break;
    expect((await inbox.next()).done).toBe(true);
    expect(call.destroyed).toBe(false);
  });
});

describe('what goes out', () => {
  const scene = (highWaterMark = 4) => {
    const written: number[] = [];
    const held: (() => void)[] = [];
    const call = new Writable({
      objectMode: true,
      highWaterMark,
      write({ n }: { n: number }, _encoding, done) {
        written.push(n);
        held.push(done);
      },
    });
    const waiting: { n: number }[] = [];
    const outgoing = new Outgoing<{ n: number }>();
    outgoing.from(() => waiting.shift());
    const abort = new AbortController();
    const over = drain(outgoing, call, abort.signal);
    over.catch(() => {});
    const put = (n: number): void => {
      waiting.push({ n });
      outgoing.wake();
    };
    return { written, held, waiting, outgoing, abort, over, put };
  };

  test('is taken when there is room for it, and not before', async () => {
    const { written, held, waiting, put } = scene();
    for (let n = 1; n <= 10; n += 1) put(n);
    await turn();
    expect(waiting.length).toBe(6);
    while (written.length < 10) {
      held.shift()!();
      await turn();
    }
    expect(written).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('goes together with what is ready in the same turn', async () => {
    const { waiting, outgoing, put } = scene();
    let asked = 0;
    outgoing.from(() => {
      asked += 1;
      return waiting.shift();
    });
    await turn();
    asked = 0;
    put(1);
    outgoing.wake();
    outgoing.wake();
    await turn();
    expect(asked).toBe(2);
  });

  test('ends in order, with an error, and when the call is over, and then nobody takes more', async () => {
    const ordered = scene();
    ordered.outgoing.end();
    await ordered.over;
    const failed = scene(1);
    for (const n of [1, 2, 3]) failed.put(n);
    await turn();
    failed.outgoing.end(new Error('enough'));
    await expect(failed.over).rejects.toThrow('enough');
    const cut = scene();
    cut.abort.abort(new Error('gone'));
    await expect(cut.over).rejects.toThrow('gone');
    for (const { outgoing } of [ordered, failed, cut]) expect(outgoing.closed.aborted).toBe(true);
  });

  test('can be iterated over, where there is no call', async () => {
    const outgoing = new Outgoing<{ n: number }>();
    const waiting = [{ n: 1 }];
    outgoing.from(() => waiting.shift());
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { n } of outgoing) seen.push(n);
    })();
    await turn();
    waiting.push({ n: 2 });
    outgoing.wake();
    await turn();
    outgoing.end();
    await reading;
    expect(seen).toEqual([1, 2]);
    expect(outgoing.closed.aborted).toBe(true);
  });
});
