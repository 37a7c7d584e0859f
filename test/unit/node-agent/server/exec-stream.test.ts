import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { ExecSession } from '../../../../node-agent/runtime/runtime.ts';
import { runExec } from '../../../../node-agent/server/exec-stream.ts';
import type { ExecRequest, ExecResponse } from '../../../../proto/gen/types.ts';

function fakeSession() {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const exit = Promise.withResolvers<number>();
  const sizes: string[] = [];
  let kills = 0;
  const session: ExecSession = {
    stdout,
    stderr,
    stdin,
    exitCode: exit.promise,
    resize: (columns, rows) => void sizes.push(`${columns}x${rows}`),
    kill: () => {
      kills += 1;
    },
  };
  return { session, stdout, stderr, stdin, exit, sizes, kills: () => kills };
}

const signal = new AbortController().signal;
const never = (): Promise<void> => new Promise(() => {});
async function* messages(...list: ExecRequest[]): AsyncGenerator<ExecRequest> {
  yield* list;
}
const text = (bytes?: Uint8Array): string => Buffer.from(bytes ?? []).toString();

describe('an exec', () => {
  test('gives both outputs, and the exit code last', async () => {
    const fake = fakeSession();
    fake.stdout.end('out');
    fake.stderr.end('err');
    fake.exit.resolve(3);
    const seen: ExecResponse[] = [];
    for await (const message of runExec(fake.session, messages(), signal, never)) seen.push(message);
    expect(seen.map(({ stdout }) => text(stdout)).join('')).toBe('out');
    expect(seen.map(({ stderr }) => text(stderr)).join('')).toBe('err');
    expect(seen.at(-1)).toEqual({ exitCode: 3 });
    expect(fake.kills()).toBe(0);
  });

  test('passes input on until the client closes it, and resizes', async () => {
    const fake = fakeSession();
    const input: Buffer[] = [];
    fake.stdin.on('data', (chunk) => input.push(chunk));
    fake.stdin.on('end', () => {
      fake.stdout.end();
      fake.stderr.end();
      fake.exit.resolve(0);
    });
    const requests = messages(
      { stdin: Buffer.from('a') },
      { resize: { columns: 80, rows: 24 } },
      { stdin: Buffer.from('b') },
      { closeStdin: true },
    );
    for await (const message of runExec(fake.session, requests, signal, never))
      expect(message).toEqual({ exitCode: 0 });
    expect(Buffer.concat(input).toString()).toBe('ab');
    expect(fake.sizes).toEqual(['80x24']);
  });

  test('does not wait for ever for a grandchild that keeps the output open', async () => {
    const fake = fakeSession();
    fake.exit.resolve(0);
    const seen: ExecResponse[] = [];
    for await (const message of runExec(fake.session, messages(), signal, async () => {})) seen.push(message);
    expect(seen).toEqual([{ exitCode: 0 }]);
  });

  test('is killed when the client goes away', async () => {
    const fake = fakeSession();
    const client = new AbortController();
    const stream = runExec(fake.session, messages(), client.signal, never);
    fake.stdout.write('x');
    expect(text((await stream.next()).value?.stdout)).toBe('x');
    const next = stream.next();
    client.abort(new Error('gone'));
    await expect(next).rejects.toThrow('gone');
    expect(fake.kills()).toBe(1);
  });

  test('holds the process back while the client does not read', async () => {
    const fake = fakeSession();
    const stream = runExec(fake.session, messages(), signal, never);
    const first = stream.next();
    let written = 0;
    while (fake.stdout.write(Buffer.alloc(16_384))) written += 1;
    await first;
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(written).toBeLessThan(20);
    expect(fake.stdout.writableLength + fake.stdout.readableLength).toBeGreaterThan(0);
    await stream.return(undefined);
  });
});
