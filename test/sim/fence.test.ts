/** Whatever a leader writes, in whole simulated lives of clusters: every transaction compares the term. */
import { expect, test } from 'vitest';
import { soleReplicaKey } from '../../control-plane/sole-replica.ts';
import { storeRoot } from '../../lib/model/keys.ts';
import type { Transaction } from '../../lib/store/store.ts';
import { isWrite } from '../../lib/store/store-checks.ts';
import { runSeed } from './run.ts';
import type { Writer } from './store.ts';

const seeds = 12;
const leaderKey = `${storeRoot}leader`;

const keysOf = ({ success }: Transaction): string[] =>
  success.flatMap((operation) => (operation.kind === 'put' || operation.kind === 'delete' ? [operation.key] : []));

const isFenced = ({ compare }: Transaction): boolean =>
  compare.some(({ key, target, value }) => key === leaderKey && target === 'create' && value !== 0n);

/** What every replica does for itself: stands for election, says where it is, sees to the defaults. */
function isItsOwn(transaction: Transaction): boolean {
  const keys = keysOf(transaction);
  const own = [leaderKey, soleReplicaKey, `${storeRoot}namespaces/default`, `${storeRoot}storageclasses/local`];
  return keys.every((key) => own.includes(key) || key.startsWith(`${storeRoot}control-planes/`));
}

test(`no write of a leader goes out without its fence (${seeds} seeds)`, { timeout: 120_000 }, async () => {
  const unfenced = new Set<string>();
  const fenced = new Set<string>();
  const transact = (transaction: Transaction, { operation }: Writer): Transaction => {
    if (operation === undefined && transaction.success.some(isWrite) && !isItsOwn(transaction)) {
      const list = isFenced(transaction) ? fenced : unfenced;
      for (const key of keysOf(transaction)) list.add(key.split('/')[2]!);
    }
    return transaction;
  };
  for (let seed = 1; seed <= seeds; seed += 1) await runSeed({ seed, hours: 0, plants: { transact } });
  expect([...unfenced]).toEqual([]);
  const written = ['allocations', 'deployments', 'endpointslices', 'events', 'jobs', 'nodes', 'pods', 'replicasets'];
  expect([...fenced]).toEqual(expect.arrayContaining(written));
});
