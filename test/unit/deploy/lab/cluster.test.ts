/** The size of a lab. */
import { expect, it } from 'vitest';
import { nodesOf } from '../../../../deploy/lab/cluster.ts';
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
