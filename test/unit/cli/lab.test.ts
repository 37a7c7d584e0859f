/** What `ctl lab` says and which lab it means; labs themselves are in test/contract/lab.test.ts. */
import { expect, it } from 'vitest';
import { emptyRegistryText, labOfConfig } from '../../../cli/commands/lab.ts';

it.each([
  ['/var/lib/gantry-lab/mine/admin.conf', 'mine'],
  ['/var/lib/gantry-lab/default/admin.conf', 'default'],
  ['/root/.gantry/config', 'default'],
  ['/var/lib/gantry-lab/mine/machines/control-plane/admin.conf', 'default'],
  ['', 'default'],
  [undefined, 'default'],
])('with GANTRY_CONFIG=%s it means the lab %s', (path, lab) => {
  expect(labOfConfig(path)).toBe(lab);
});

it('names what fills the registry', () => {
  expect(emptyRegistryText('default')).toMatch(/with: npm start$/);
  expect(emptyRegistryText('mine')).toMatch(/with: npm start -- --name mine$/);
});
