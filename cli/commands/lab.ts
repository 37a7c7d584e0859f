/** `ctl lab`: makes, shows, breaks and mends labs on this host. Needs root; everything happens in deploy/lab. */
import { constants } from 'node:os';
import type { Command } from 'commander';
import type { LabStatus } from '../../deploy/lab/status.ts';
import { systemClock } from '../../lib/clock.ts';
import { GantryError } from '../../lib/errors.ts';
import { systemExec } from '../../lib/process.ts';
import { renderTable } from '../output/table.ts';

const defaultName = 'default';

/** The lab whose admin.conf this is, as people name it in GANTRY_CONFIG; else the default one. Pure. */
export function labOfConfig(path = ''): string {
  return /^\/var\/lib\/gantry-lab\/([^/]+)\/admin\.conf$/.exec(path)?.[1] ?? defaultName;
}

interface NameOption {
  readonly name: string;
}

export function registerLab(program: Command): void {
  const lab = program.command('lab').description('a cluster of machines on this host, to try and to break');
  const current = labOfConfig(process.env.GANTRY_CONFIG);
  const command = (usage: string, description: string): Command =>
    lab.command(usage).description(description).option('--name <lab>', 'which lab; $GANTRY_CONFIG names one', current);

  command('up', 'make the lab, or start again what of it does not run')
    .option('--nodes <count>', 'how many nodes; default: as many as the lab has, 3 for a new one')
    .option('--control-planes <count>', 'how many replicas of the control plane, each with an etcd member')
    .option('--scheduler <profile>', 'scheduler profile of pods that name none')
    .action(runUp);
  command('status', 'show machines and processes')
    .option('-o, --output <format>', 'table or json', 'table')
    .action(runStatus);
  command('kill <machine>', 'pull the plug: everything on the machine ends at once').action(runKill);
  command('partition <machine>', "cut the machine's network cable; it runs on").action(runPartition);
  command('heal <machine>', 'mend the cable, or boot the killed machine with its disk').action(runHeal);
  command('add', 'add one node').action(runAdd);
  command('exec <machine> [command...]', 'run a command on a machine').action(runExec);
  command('down', 'remove the lab and all it holds').action(runDown);
}

/** Loaded when a lab command runs, not at every start of ctl. */
async function open() {
  if (process.getuid?.() !== 0) {
    throw new GantryError('permissionDenied', 'labs need root: network, mount and process namespaces; use sudo');
  }
  const [lab, cluster, status, state, machine] = await Promise.all([
    import('../../deploy/lab/lab.ts'),
    import('../../deploy/lab/cluster.ts'),
    import('../../deploy/lab/status.ts'),
    import('../../deploy/lab/state.ts'),
    import('../../deploy/lab/machine.ts'),
  ]);
  const host = { exec: systemExec(), clock: systemClock };
  return { ...lab, ...cluster, ...status, ...state, ...machine, host };
}

interface UpOptions extends NameOption {
  readonly nodes?: string;
  readonly controlPlanes?: string;
  readonly scheduler?: string;
}

async function runUp(options: UpOptions): Promise<void> {
  const { up, adminConfig, isRegistryEmpty, host } = await open();
  const cluster = {
    name: options.name,
    ...(options.nodes !== undefined && { nodes: Number(options.nodes) }),
    ...(options.controlPlanes !== undefined && { controlPlanes: Number(options.controlPlanes) }),
    ...(options.scheduler !== undefined && { scheduler: options.scheduler }),
  };
  await up(host, cluster, (step) => {
    const startedMs = systemClock.monotonicMs();
    return () => console.log(`${step}: ${((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1)} s`);
  });
  console.log(`lab/${options.name} up`);
  if (options.name !== labOfConfig(process.env.GANTRY_CONFIG)) {
    console.log(`ctl finds it with: export GANTRY_CONFIG=${adminConfig(options.name)}`);
  }
  if (isRegistryEmpty()) console.log(emptyRegistryText(options.name));
}

/** Pure. */
export function emptyRegistryText(lab: string): string {
  const start = lab === defaultName ? 'npm start' : `npm start -- --name ${lab}`;
  return `Its registry holds no images yet: build them, and run the sample, with: ${start}`;
}

async function runStatus(options: NameOption & { output: string }): Promise<void> {
  if (options.output !== 'table' && options.output !== 'json') {
    throw new GantryError('invalidArgument', `output format "${options.output}": use table or json`);
  }
  const { labStatus, requireState, host } = await open();
  const status = await labStatus(host.exec, requireState(options.name));
  console.log(options.output === 'json' ? JSON.stringify(status, null, 2) : statusTable(status));
}

/** Pure. */
export function statusTable(status: LabStatus): string {
  const header = ['MACHINE', 'ROLE', 'ADDRESS', 'STATE', 'PID', 'CONTAINERS'];
  const rows = status.machines.map((machine) => [
    machine.name,
    machine.role,
    machine.address,
    machine.nodeDeleted ? `${machine.state} (node deleted)` : machine.state,
    String(machine.programPid ?? '<none>'),
    machine.role === 'node' ? String(machine.containers) : '',
  ]);
  return renderTable(header, rows).trimEnd();
}

async function runKill(machine: string, { name }: NameOption): Promise<void> {
  const { killMachine, host } = await open();
  const changed = await killMachine(host, name, machine);
  console.log(`machine/${machine} ${changed ? 'killed' : 'unchanged (it was off already)'}`);
}

async function runPartition(machine: string, { name }: NameOption): Promise<void> {
  const { setCable, host } = await open();
  const changed = await setCable(host, name, machine, false);
  console.log(`machine/${machine} ${changed ? 'partitioned' : 'unchanged (it was cut off already)'}`);
}

async function runHeal(machine: string, { name }: NameOption): Promise<void> {
  const { healMachine, host } = await open();
  const done = await healMachine(host, name, machine);
  console.log(`machine/${machine} ${done === 'unchanged' ? 'unchanged (it runs, and its cable is whole)' : done}`);
}

async function runAdd({ name }: NameOption): Promise<void> {
  const { addNode, host } = await open();
  console.log(`machine/${await addNode(host, name)} added`);
}

async function runExec(machine: string, command: readonly string[], { name }: NameOption): Promise<void> {
  const { requireRunning, requireState, enterArgv, host } = await open();
  const init = requireRunning(requireState(name), machine);
  const argv = enterArgv(init, name, machine, command.length > 0 ? command : ['/bin/sh']);
  const child = host.exec.start(argv, { stdio: 'inherit' });
  // The terminal sends Ctrl-C to the command as well; we stay to report how it ended.
  process.on('SIGINT', () => {});
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  });
}

async function runDown({ name }: NameOption): Promise<void> {
  const { removeLab, host } = await open();
  await removeLab(host, name);
  console.log(`lab/${name} removed`);
}
