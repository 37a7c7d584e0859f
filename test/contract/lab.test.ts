/** The lab's promises about machines, with placeholders for programs: no Gantry program is needed to keep them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inventory } from '../../deploy/lab/inventory.ts';
import {
  healMachine,
  killMachine,
  openLab,
  removeLab,
  requireRunning,
  setCable,
  setProgram,
  startMachine,
} from '../../deploy/lab/lab.ts';
import { enterArgv } from '../../deploy/lab/machine.ts';
import { type MachineRole, type MachineSpec, requireState, writeState } from '../../deploy/lab/state.ts';
import { type LabProcess, labStatus } from '../../deploy/lab/status.ts';
import { hostLink } from '../../deploy/lab/underlay.ts';
import { systemClock } from '../../lib/clock.ts';
import { type RunResult, systemExec } from '../../lib/process.ts';
import { systemRandom } from '../../lib/random.ts';

const host = { exec: systemExec(), clock: systemClock };
const lab = `contract-${systemRandom.suffix(5)}`;
let subnet: string;

const machine = (name: string, role: MachineRole, last: number, script: string): MachineSpec => ({
  name,
  role,
  address: `${subnet}.${last}`,
  program: 'placeholder',
  command: ['sh', '-c', script],
});
const enter = (name: string, ...command: string[]): Promise<RunResult> =>
  host.exec.run(enterArgv(requireRunning(requireState(lab), name), lab, name, command));
const pings = async (from: string, to: string): Promise<boolean> =>
  (await enter(from, 'busybox', 'ping', '-c', '1', '-W', '1', to)).exitCode === 0;
const status = () => labStatus(host.exec, requireState(lab));
const stateOf = async (name: string) => (await status()).machines.find((one) => one.name === name)?.state;
const processesOf = async (name: string): Promise<LabProcess[]> =>
  (await status()).processes.filter((one) => one.node === name);

async function eventually(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonicMs() + 10_000;
  while (!(await condition())) {
    if (systemClock.monotonicMs() > deadline) throw new Error(`not within 10 s: ${what}`);
    await systemClock.sleep(20);
  }
}

/** A supervised program that leaves a child of its own behind when it is killed. */
const program = 'echo started; (exec sleep 900) & exec tail -f /dev/null';

beforeAll(async () => {
  ({ subnet } = await openLab(host, lab));
  await startMachine(host, lab, machine('rack', 'registry', 1, program));
  await startMachine(host, lab, machine('node-1', 'node', 11, program));
  await startMachine(host, lab, machine('node-2', 'node', 12, program));
});
afterAll(() => removeLab(host, lab));

describe('a lab', () => {
  test('machines reach one another by name, and the host reaches them', async () => {
    expect(await pings('node-1', 'node-2')).toBe(true);
    const fromHost = await host.exec.run(['busybox', 'ping', '-c', '1', '-W', '1', `${subnet}.12`]);
    expect(fromHost.exitCode).toBe(0);
  });

  test("a machine sees its own host name, processes and files, and the host's cgroups", async () => {
    const script = 'hostname; cat /proc/1/comm; ls /var/lib/gantry-lab; ls -d /sys/fs/cgroup; touch /tmp/of-node-1';
    const { stdout } = await enter('node-1', 'sh', '-c', script);
    expect(stdout.split('\n')).toEqual(['node-1', 'tini', '/sys/fs/cgroup', '']);
    expect((await enter('node-2', 'ls', '/tmp/of-node-1')).exitCode).not.toBe(0);
    expect((await host.exec.run(['ls', '/tmp/of-node-1'])).exitCode).not.toBe(0);
  });

  test('a program that dies is started again; what it had started lives on', async () => {
    const started = async () => (await processesOf('node-1')).find((one) => one.role === 'node-agent');
    await eventually('the program runs', async () => (await started()) !== undefined);
    const old = await started();
    const child = (await processesOf('node-1')).find((one) => one.command === 'sleep' && one.role === 'helper');
    process.kill(old!.pid, 'SIGKILL');
    await eventually('another one runs', async () => ![undefined, old!.pid].includes((await started())?.pid));
    expect((await processesOf('node-1')).map((one) => one.pid)).toContain(child!.pid);
  });

  test('a stopped program stays down until it may run again', async () => {
    await setProgram(host, lab, 'node-1', false);
    const runs = async () => (await processesOf('node-1')).some((one) => one.role === 'node-agent');
    await eventually('it is down', async () => !(await runs()));
    await setProgram(host, lab, 'node-1', true);
    await eventually('it runs', runs);
  });

  test('a partition cuts the cable only; healing mends it', async () => {
    const pids = (await processesOf('node-2')).map((one) => one.pid);
    expect(await setCable(host, lab, 'node-2', false)).toBe(true);
    expect(await setCable(host, lab, 'node-2', false)).toBe(false); // it is so already
    expect(await stateOf('node-2')).toBe('Partitioned');
    expect(await pings('node-1', 'node-2')).toBe(false);
    expect((await processesOf('node-2')).map((one) => one.pid)).toEqual(pids);
    expect(await healMachine(host, lab, 'node-2')).toBe('healed');
    await eventually('they reach one another', () => pings('node-1', 'node-2'));
    expect(await healMachine(host, lab, 'node-2')).toBe('unchanged');
  });

  test('killing a machine ends everything on it, and healing boots it with its disk', async () => {
    await enter('node-2', 'sh', '-c', 'echo kept >/var/lib/gantry/disk; echo lost >/run/memory');
    const doomed = await processesOf('node-2');
    expect(await killMachine(host, lab, 'node-2')).toBe(true);
    const left = await inventory(host.exec);
    for (const { pid } of doomed) expect(left.filter((line) => line.includes(` process ${pid} `))).toEqual([]);
    expect(left.filter((line) => line.includes(`/gantry/${lab}/node-2`))).toEqual([]);
    expect(await stateOf('node-2')).toBe('Killed');
    await expect(setCable(host, lab, 'node-2', false)).rejects.toThrow('switched off');
    expect(await killMachine(host, lab, 'node-2')).toBe(false);

    expect(await healMachine(host, lab, 'node-2')).toBe('booted');
    expect((await enter('node-2', 'cat', '/var/lib/gantry/disk')).stdout).toBe('kept\n');
    expect((await enter('node-2', 'ls', '/run/memory')).exitCode).not.toBe(0);
    expect(await pings('node-1', 'node-2')).toBe(true);
  });

  test('after a crash of the rack, and after a reboot of the host, starting again completes the lab', async () => {
    const rack = requireState(lab).machines.find((one) => one.role === 'registry')!;
    process.kill(rack.init!.pid, 'SIGKILL');
    await eventually('the rack is down', async () => (await stateOf('rack')) === 'Killed');
    await startMachine(host, lab, rack);
    for (const node of ['node-1', 'node-2']) await healMachine(host, lab, node);
    await eventually('they reach one another', () => pings('node-1', 'node-2'));

    const state = requireState(lab);
    for (const { init } of state.machines) process.kill(init!.pid, 'SIGKILL');
    writeState({ ...state, bootId: 'an earlier boot' });
    for (const one of ['rack', 'node-1', 'node-2']) {
      await startMachine(host, lab, state.machines.find(({ name }) => name === one)!);
    }
    await eventually('they reach one another again', () => pings('node-1', 'node-2'));
    expect((await enter('node-2', 'cat', '/var/lib/gantry/disk')).stdout).toBe('kept\n');
  });

  test('what is not there is refused by name', async () => {
    await expect(killMachine(host, lab, 'node-9')).rejects.toThrow('has no machine "node-9"');
    await expect(killMachine(host, lab, 'rack')).rejects.toThrow('network switch');
    await expect(killMachine(host, `${lab}-no`, 'node-1')).rejects.toThrow('there is no lab');
  });

  test('removal leaves nothing, even when the state forgot a machine', async () => {
    const state = requireState(lab);
    writeState({ ...state, machines: state.machines.filter((one) => one.name !== 'node-1') });
    await removeLab(host, lab);
    // The kernel takes network namespaces apart in its own time.
    let left: string[] = [];
    await eventually('nothing of it is left', async () => {
      left = (await inventory(host.exec)).filter((line) => line.includes(lab) || line.includes(hostLink(lab)));
      return left.length === 0;
    }).catch((error) => expect.fail(`${error.message}\n${left.join('\n')}`));
    await removeLab(host, lab); // again: no error
  });
});
