/** Pure: what runs on each machine of a cluster. The command lines of the registry, the control plane and the agents. */
import { join } from 'node:path';
import { cgroupRoot } from './cgroups.ts';
import { cloneFolder, dataFolder, type MachineSpec } from './state.ts';
import { controlPlaneAddress, nodeAddress, registryAddress } from './underlay.ts';

export const rackName = 'rack';
export const controlPlaneName = (number: number): string => `cp-${number}`;
export const clusterCidr = '10.42.0.0/16';
export const serviceCidr = '10.43.0.0/16';
export const registryStorage = join(cloneFolder, '.cache/registry');

/**
 * Every node pays for what its agent holds, and an agent allocates little: a young generation of 1 MiB (the default
 * costs about 25 MB), an old one that is collected when it has grown by a fifth, and a collector that the agent calls
 * when it is idle.
 */
export const agentNodeFlags = [
  '--max-semi-space-size=1',
  '--heap-growing-percent=20',
  '--expose-gc',
  '--disable-warning=ExperimentalWarning', // node:ffi, by which free memory goes back to the kernel
];

const apiPort = 6443;
const joinPort = 6444;
const registryPort = 5000;
const node = join(cloneFolder, 'node_modules/.bin/node');
/** Where every machine finds these below its data folder. */
export const joinTokenFile = 'join-token';
/** Of an agent's. */
export const identityFolder = 'pki';
/** Of an agent's, while its node is deleted from the cluster. */
export const nodeDeletedFile = 'node-deleted';
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
  /** How many there are; one unless told otherwise. */
  readonly controlPlanes?: number;
}

/** Of several the first one founds the cluster and the others join it. */
export function controlPlaneMachine(subnet: string, options: ControlPlaneOptions = {}, number = 1): MachineSpec {
  const address = controlPlaneAddress(subnet, number);
  const { scheduler } = options;
  return {
    name: controlPlaneName(number),
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
      ...(scheduler === undefined ? [] : ['--scheduler', scheduler]),
      ...(number === 1 ? [] : ['--join', `${controlPlaneAddress(subnet, 1)}:${joinPort}`]),
      ...(number === 1 ? [] : ['--token-file', join(dataFolder, joinTokenFile)]),
    ],
  };
}

export const nodeName = (number: number): string => `node-${number}`;

export function nodeMachine(lab: string, subnet: string, number: number, controlPlanes = 1): MachineSpec {
  const servers = Array.from({ length: controlPlanes }, (_, index) => controlPlaneAddress(subnet, index + 1));
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
      ...agentNodeFlags,
      join(cloneFolder, 'node-agent/main.ts'),
      ...['--node-name', name],
      ...['--server', servers.map((server) => `${server}:${apiPort}`).join(',')],
      ...['--token-file', join(dataFolder, joinTokenFile)],
      ...['--data-dir', dataFolder],
      ...['--node-ip', address],
      ...['--cgroup-parent', `/${cgroupRoot}/${lab}/${name}`],
      ...['--default-registry', registry],
      ...['--insecure-registry', registry],
    ],
  };
}
