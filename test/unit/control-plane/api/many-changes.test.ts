import { expect, test, vi } from 'vitest';
import { toEnvelope } from '../../../../lib/model/codec.ts';
import type { TransactionResult } from '../../../../lib/store/store.ts';
import { storeWith } from '../../../../lib/store/store-with.ts';
import { admin, configMapManifest, createHarness, manifest } from './harness.ts';

test('a burst of changes waits in the order it came, and keeps no read waiting', async () => {
  const { store } = await createHarness();
  const doors: (() => void)[] = [];
  let isShut = false;
  const shut = storeWith(store, {
    transact: (transaction) =>
      new Promise<TransactionResult>((resolve) => {
        const letIn = () => resolve(store.transact(transaction));
        if (isShut) doors.push(letIn);
        else letIn();
      }),
  });
  const harness = await createHarness({ store: shut });
  await harness.create(manifest(configMapManifest('there')));
  isShut = true;
  const created: number[] = [];
  const changes = Array.from({ length: 40 }, (_, index) =>
    harness.api.Create({ object: toEnvelope(manifest(configMapManifest(`cm-${index}`))) }, admin).then(() => {
      created.push(index);
    }),
  );
  await vi.waitFor(() => expect(doors).toHaveLength(32));
  expect(await harness.api.Get({ kind: 'ConfigMap', namespace: 'default', name: 'there' }, admin)).toBeDefined();
  expect(doors).toHaveLength(32);
  // As one ends the next one begins.
  doors.shift()!();
  await vi.waitFor(() => expect(doors).toHaveLength(32));
  isShut = false;
  for (const letIn of doors) letIn();
  await Promise.all(changes);
  expect(created.slice(-7)).toEqual([33, 34, 35, 36, 37, 38, 39]);
});
