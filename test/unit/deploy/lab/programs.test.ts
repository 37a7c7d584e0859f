import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readyNodes } from '../../../../deploy/lab/cluster.ts';
import { hostsFile } from '../../../../deploy/lab/machine.ts';
import { controlPlaneMachine, nodeMachine, rackMachine, registryConfig } from '../../../../deploy/lab/programs.ts';
import { type LabState, withMachine } from '../../../../deploy/lab/state.ts';

const option = (command: readonly string[], name: string): string | undefined => command[command.indexOf(name) + 1];

test('an agent finds the control plane and the registry at their addresses on the underlay', () => {
  const agent = nodeMachine('blue', '10.88.3', 2);
  expect(agent.address).toBe('10.88.3.12');
  expect(option(agent.command, '--node-ip')).toBe(agent.address);
  expect(option(agent.command, '--server')).toBe(`${controlPlaneMachine('10.88.3').address}:6443`);
  expect(option(agent.command, '--default-registry')).toBe(`${rackMachine('10.88.3').address}:5000`);
  expect(option(agent.command, '--cgroup-parent')).toBe('/gantry/blue/node-2');
});

test('the control plane gets a scheduler profile only when one is asked for', () => {
  expect(controlPlaneMachine('10.88.0').command).not.toContain('--scheduler');
  expect(option(controlPlaneMachine('10.88.0', { scheduler: 'bin-pack' }).command, '--scheduler')).toBe('bin-pack');
});

test('of several control planes the others join the first, and every agent knows them all', () => {
  expect(controlPlaneMachine('10.88.0').command).not.toContain('--join');
  expect(controlPlaneMachine('10.88.0', { controlPlanes: 3 }).command).not.toContain('--join');
  const third = controlPlaneMachine('10.88.0', { controlPlanes: 3 }, 3);
  expect([third.name, third.address]).toEqual(['cp-3', '10.88.0.4']);
  expect(option(third.command, '--join')).toBe('10.88.0.2:6444');
  expect(option(third.command, '--token-file')).toBe('/var/lib/gantry/join-token');
  const agent = nodeMachine('blue', '10.88.0', 1, 3);
  expect(option(agent.command, '--server')).toBe('10.88.0.2:6443,10.88.0.3:6443,10.88.0.4:6443');
});

test("the registry's configuration is YAML that names its address and storage", () => {
  const config = parse(registryConfig('10.88.0.1', '/clone/.cache/registry'));
  expect(config.http.addr).toBe('10.88.0.1:5000');
  expect(config.storage.filesystem.rootdirectory).toBe('/clone/.cache/registry');
});

test('machines are kept in the order of their numbers, each once', () => {
  const empty: LabState = { name: 'x', subnet: '10.88.0', bootId: '', machines: [] };
  const { machines } = [10, 2, 1, 2].reduce(
    (state, number) => withMachine(state, nodeMachine('x', '10.88.0', number)),
    empty,
  );
  expect(machines.map((machine) => machine.name)).toEqual(['node-1', 'node-2', 'node-10']);
  expect(hostsFile(machines)).toContain('10.88.0.20 node-10\n');
});

test('ready nodes are those whose Ready condition is True', () => {
  const node = (name: string, status?: string): object => ({
    metadata: { name },
    ...(status !== undefined && { status: { conditions: [{ type: 'Ready', status }] } }),
  });
  const list = { items: [node('a', 'True'), node('b', 'Unknown'), node('c')] };
  expect([...readyNodes(JSON.stringify(list))]).toEqual(['a']);
});
