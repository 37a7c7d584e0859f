/** The size of a lab, and whether there are images for it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isRegistryEmpty, nodesOf } from '../../../../deploy/lab/cluster.ts';
import type { LabState, MachineRecord } from '../../../../deploy/lab/state.ts';

const machine = (name: string, role: MachineRecord['role']): MachineRecord => {
  return { name, role, address: '10.88.0.2', program: 'node', command: [] };
};
const lab = (nodes: number | undefined, ...names: string[]): LabState => ({
  ...{
    name: 'mine',
    subnet: '10.88.0',
    bootId: 'b',
    machines: [machine('rack', 'registry'), machine('cp-2', 'control-plane')],
  },
  ...(nodes !== undefined && { nodes }),
  ...(names.length > 0 && { machines: names.map((name) => machine(name, 'node')) }),
});

it.each([
  ['a new one', lab(undefined), 3],
  ['one of which nobody wrote down the size', lab(undefined, 'node-1'), 1],
  ['one whose making was interrupted', lab(5, 'node-1', 'node-2'), 5],
  ['one that has more than it was made with', lab(1, 'node-1', 'node-2'), 2],
])('%s', (_what, state, nodes) => {
  expect(nodesOf(state)).toBe(nodes);
});

it('its registry is empty until something was pushed to it', () => {
  const storage = mkdtempSync(join(tmpdir(), 'gantry-registry-'));
  expect(isRegistryEmpty(join(storage, 'never-made'))).toBe(true);
  expect(isRegistryEmpty(storage)).toBe(true);
  mkdirSync(join(storage, 'docker/registry/v2/repositories/echo'), { recursive: true });
  expect(isRegistryEmpty(storage)).toBe(false);
  rmSync(storage, { recursive: true });
});
