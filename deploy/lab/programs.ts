/** Pure: what runs on each machine of a cluster. The command lines of the registry, the control plane and the agents. */
import { join } from 'node:path';
import { cgroupRoot } from './cgroups.ts';
import { cloneFolder, dataFolder, type MachineSpec } from './state.ts';
import { controlPlaneAddress, nodeAddress, registryAddress } from './underlay.ts';

export const rackName = 'rack';
export const controlPlaneName = 'cp-1';
export const clusterCidr = '10.42.0.0/16';
export const serviceCidr = '10.43.0.0/16';
export const registryStorage = join(cloneFolder, '.cache/registry');

const apiPort = 6443;
const registryPort = 5000;
const node = join(cloneFolder, 'node_modules/.bin/node');
/** Where every machine finds these below its data folder. */
export const joinTokenFile = 'join-token';
export const registryConfigFile = 'registry.yml';

/** The switch of the underlay, and the image registry on it. */
export function rackMachine(subnet: string): MachineSpec {
  return {
    name: rackName,
    role: 'registry',
    address: registryAddress(subnet),
    program: 'registry',
    command: ['docker-registry', 'serve', join(dataFolder, registryConfigFile)],
  };
}

/** https://distribution.github.io/distribution/about/configuration/ */
export function registryConfig(address: string, storage: string): string {
  return `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: ${storage}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: ${address}:${registryPort}
`;
}

export interface ControlPlaneOptions {
  /** The scheduler profile of pods that name none; the control plane's own default when absent. */
  readonly scheduler?: string;
}

export function controlPlaneMachine(subnet: string, options: ControlPlaneOptions = {}): MachineSpec {
  const address = controlPlaneAddress(subnet);
  return {
    name: controlPlaneName,
    role: 'control-plane',
    address,
    program: 'control-plane',
    command: [
      node,
      join(cloneFolder, 'control-plane/main.ts'),
      ...['--data-dir', dataFolder],
      ...['--advertise-address', address],
      ...['--listen', `0.0.0.0:${apiPort}`],
      ...['--dns-listen', `${address}:53`],
      ...['--cluster-cidr', clusterCidr],
      ...['--service-cidr', serviceCidr],
      ...(options.scheduler === undefined ? [] : ['--scheduler', options.scheduler]),
    ],
  };
}

export const nodeName = (number: number): string => `node-${number}`;

export function nodeMachine(lab: string, subnet: string, number: number): MachineSpec {
  const name = nodeName(number);
  const address = nodeAddress(subnet, number);
  const registry = `${registryAddress(subnet)}:${registryPort}`;
  return {
    name,
    role: 'node',
    address,
    program: 'node-agent',
    command: [
      node,
      // A young generation of 1 MiB: an agent allocates little, and every node pays for the space (about 25 MB).
      '--max-semi-space-size=1',
      join(cloneFolder, 'node-agent/main.ts'),
      ...['--node-name', name],
      ...['--server', `${controlPlaneAddress(subnet)}:${apiPort}`],
      ...['--token-file', join(dataFolder, joinTokenFile)],
      ...['--data-dir', dataFolder],
      ...['--node-ip', address],
      ...['--cgroup-parent', `/${cgroupRoot}/${lab}/${name}`],
      ...['--default-registry', registry],
      ...['--insecure-registry', registry],
    ],
  };
}
