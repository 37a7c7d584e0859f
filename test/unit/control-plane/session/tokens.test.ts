import { beforeEach, describe, expect, test } from 'vitest';
import { createJoinTokens, type JoinTokens } from '../../../../control-plane/session/tokens.ts';
import { type VirtualClock, virtualClock } from '../../../../lib/clock-virtual.ts';
import { parseJoinToken } from '../../../../lib/pki/join-token.ts';
import { seededRandom } from '../../../../lib/random.ts';
import { createMemoryStore, type MemoryStore } from '../../../../lib/store/memory.ts';

const caHash = 'C'.repeat(43);
const dayMs = 24 * 3_600_000;
let store: MemoryStore;
let clock: VirtualClock;
let tokens: JoinTokens;

beforeEach(() => {
  clock = virtualClock();
  store = createMemoryStore({ clock });
  tokens = createJoinTokens({ store, caHash, clock, random: seededRandom(1) });
});

describe('join tokens', () => {
  test('open the door for their role, and are not stored', async () => {
    const { token, record } = await tokens.create({ role: 'node' });
    expect(await tokens.verify(` ${token}\n`, 'node')).toEqual(record);
    const { items } = await store.list('/gantry/tokens/');
    const { secret, id } = parseJoinToken(token);
    expect(items.map(({ key }) => key)).toEqual([`/gantry/tokens/${id}`]);
    expect(new TextDecoder().decode(items[0]?.value)).not.toContain(secret);
  });

  test('expire, a day after they were made unless told otherwise', async () => {
    const day = await tokens.create({ role: 'node' });
    const short = await tokens.create({ role: 'node', ttlMs: 1_000 });
    await clock.advance(1_000);
    expect((await tokens.list()).map(({ id }) => id)).toEqual([day.record.id]);
    await expect(tokens.verify(short.token, 'node')).rejects.toThrow(
      /expired at 2026-01-01T00:00:01Z; create a new one with `ctl token create --role node`/,
    );
    await tokens.verify(day.token, 'node');
    await clock.advance(dayMs);
    await expect(tokens.verify(day.token, 'node')).rejects.toThrow(/expired/);
  });

  test('that were revoked say so, and can be revoked twice', async () => {
    const { token, record } = await tokens.create({ role: 'node' });
    await tokens.revoke(record.id);
    await tokens.revoke(record.id);
    expect(await tokens.list()).toEqual([]);
    await expect(tokens.verify(token, 'node')).rejects.toThrow(/was revoked at 2026-01-01T00:00:00Z/);
    await expect(tokens.revoke('nothing')).rejects.toThrow(/there is no join token nothing/);
  });

  test('with another secret are strangers, and are not told more', async () => {
    const { token, record } = await tokens.create({ role: 'node' });
    await tokens.revoke(record.id);
    const [id, secret, hash] = token.split('.');
    const wrong = `${id}.${secret!.startsWith('A') ? 'B' : 'A'}${secret!.slice(1)}.${hash}`;
    await expect(tokens.verify(wrong, 'node')).rejects.toThrow(/is not one of this cluster/);
  });

  test('of another role or another cluster are refused for that', async () => {
    const { token } = await tokens.create({ role: 'control-plane' });
    await expect(tokens.verify(token, 'node')).rejects.toThrow(/is for the role control-plane, not node/);
    await expect(tokens.verify(`${token.slice(0, -1)}D`, 'node')).rejects.toThrow(/of another cluster/);
  });

  test.each([
    [{ role: 'king' }, /role "king" is unknown; a join token is for node or control-plane/],
    [{ role: 'node', ttlMs: 0 }, /at least a second/],
    [{ role: 'node', ttlMs: 400 * dayMs }, /at most a year/],
  ])('%j cannot be made', async (request, sentence) => {
    await expect(tokens.create(request)).rejects.toThrow(sentence);
  });

  test('long dead are forgotten', async () => {
    await tokens.create({ role: 'node', ttlMs: 1_000 });
    await clock.advance(8 * dayMs);
    const { record } = await tokens.create({ role: 'node' });
    expect((await store.list('/gantry/tokens/')).items.map(({ key }) => key)).toEqual([`/gantry/tokens/${record.id}`]);
  });
});
