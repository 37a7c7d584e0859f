/** Which processes of a lab belong to which pod, and whether they are still the same ones. */
import { cgroupBelow, cgroupRoot } from '../../deploy/lab/cgroups.ts';
import { isAlive } from '../../deploy/lab/processes.ts';
import type { LabProcess, ProcessRole } from '../../deploy/lab/status.ts';
import type { RunResult } from '../../lib/process.ts';
import { host, type Lab } from './lab-fixture.ts';

/** A container's first process, or the pause process that holds the pod's namespaces. */
export interface PodProcess extends LabProcess {
  readonly podUid: string;
  /** `<uid>-<container>-<attempt>`, or "pause". */
  readonly containerId: string;
}

export async function podProcesses(lab: Lab, node?: string): Promise<PodProcess[]> {
  const { processes } = await lab.status();
  return processes
    .filter(({ role }) => role === 'container' || role === 'pause')
    .filter((process) => node === undefined || process.node === node)
    .map((process) => {
      const cgroup = cgroupBelow(process.pid, `${cgroupRoot}/${lab.name}`);
      const [, podFolder = '', containerId = ''] = cgroup.split('/').filter(Boolean);
      return { ...process, podUid: podFolder.replace(/^pod/, ''), containerId };
    });
}

/** The one process of a pod's only container. */
export async function containerProcess(lab: Lab, podUid: string): Promise<PodProcess> {
  const found = (await podProcesses(lab)).filter((one) => one.role === 'container' && one.podUid === podUid);
  if (found.length !== 1) throw new Error(`${found.length} container processes of pod ${podUid}`);
  return found[0]!;
}

/** Runs a command of the container's image in its namespaces, past the agent and the control plane. */
export function runInContainer({ pid }: PodProcess, argv: readonly string[]): Promise<RunResult> {
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid'];
  return host.exec.run(['nsenter', '--target', String(pid), ...namespaces, '--wd=/', '--', ...argv]);
}

/** "role node pid startTime" of the processes with these roles: equal before and after means none died. */
export async function identities(lab: Lab, roles: readonly ProcessRole[]): Promise<string[]> {
  const { processes } = await lab.status();
  return processes
    .filter(({ role }) => roles.includes(role))
    .map(({ role, node, pid, startTime }) => `${role} ${node} ${pid} ${startTime}`)
    .sort();
}

export const programs: readonly ProcessRole[] = ['etcd', 'control-plane', 'node-agent', 'registry'];
export const workload: readonly ProcessRole[] = ['container', 'pause'];

/** SIGKILL to the one process with this role, on this machine if one is named. */
export async function killProgram(lab: Lab, role: ProcessRole, node?: string): Promise<LabProcess> {
  const [program, ...others] = await lab.processes(role, node);
  if (!program || others.length > 0) throw new Error(`${others.length + (program ? 1 : 0)} processes are ${role}`);
  process.kill(program.pid, 'SIGKILL');
  return program;
}

export { isAlive };
