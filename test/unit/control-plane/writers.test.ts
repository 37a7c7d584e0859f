/**
 * Who writes into the store, file by file. A writer of the leader's compares the term in every transaction, or its write
 * could land when another one leads already; a new writer comes in here with the reason why it may write.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = new URL('../../../control-plane/', import.meta.url).pathname;

/** These run only while this replica leads; what they send is shown to be fenced in test/sim/fence.test.ts. */
const leaders = [
  'events/recorder.ts',
  'scheduler/loop.ts',
  'scheduler/write-parts.ts',
  'session/fenced-write.ts',
  'state/commit.ts',
];
/** Every replica does this, on behalf of somebody who asked, or of itself; the transaction alone excludes the others. */
const everybodys = [
  'api/objects.ts', // what a client asked for, compared with what it was made from
  'membership.ts', // a replica that an administrator removes
  'replicas.ts', // where this replica is, under its own key
  'session/registration.ts', // a node that joins
  'session/tokens.ts', // join tokens
  'sole-replica.ts', // whether it is the only one
  'state/contact.ts', // hands on what all the others write
];
const writing = /\b(transact|transactOnce)\(|\bcampaign\(|\.revokeLease\(|\.grantLease\(/;
/** Stands for election, and so writes the leader key itself. */
const candidate = ['control-plane.ts'];

test('every writer is known', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const found = files.filter((path) => writing.test(readFileSync(join(folder, path), 'utf8')));
  expect(found.sort()).toEqual([...leaders, ...everybodys, ...candidate].sort());
});

test("what the leader's writers send has the fence in it", () => {
  for (const path of leaders) expect(readFileSync(join(folder, path), 'utf8'), path).toMatch(/\bfence\b/);
});
