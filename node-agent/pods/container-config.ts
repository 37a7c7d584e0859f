/** From a container of a pod's spec to what the runtime is told. Pure. */
import { GantryError } from '../../lib/errors.ts';
import type { Container, Pod } from '../../proto/gen/types.ts';
import type { ImageConfig } from '../images/images.ts';
import type { ContainerConfig, Mount, SandboxConfig } from '../runtime/runtime.ts';
import { buildArgv, type Environment, mergeEnv } from './env.ts';
import { podHostname } from './etc-files.ts';
import { containerId } from './observe.ts';
import { type AgentFolders, etcFile, logFile, terminationFile } from './paths.ts';
import { containerResources, podResources } from './resources.ts';

export const idsPerPod = 65_536;
const logMaxBytes = 10 * 1024 * 1024;
export const defaultTerminationPath = '/dev/termination-log';

/** Sharing one of the host's other namespaces is impossible from a user namespace of one's own. */
export function usesHostUsers({ spec }: Pod): boolean {
  return spec.hostUsers === true || spec.hostNetwork === true || spec.hostPID === true || spec.hostIPC === true;
}

export function sandboxConfig(pod: Pod, hostIdStart: number | undefined): SandboxConfig {
  const { metadata, spec } = pod;
  return {
    podUid: metadata.uid!,
    podName: metadata.name,
    podNamespace: metadata.namespace ?? 'default',
    hostname: podHostname(pod),
    ...(hostIdStart !== undefined && { userNamespace: { hostIdStart, size: idsPerPod } }),
    hostNetwork: spec.hostNetwork === true,
    hostPID: spec.hostPID === true,
    hostIPC: spec.hostIPC === true,
    resources: podResources(spec),
  };
}

export interface ContainerInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly imageId: string;
  readonly image: ImageConfig;
  readonly env: Environment;
  /** Volumes, subPaths resolved. */
  readonly volumeMounts: readonly Mount[];
  readonly folders: AgentFolders;
}

/** Throws invalidArgument for what no retry can cure. */
export function containerConfig(input: ContainerInput): ContainerConfig {
  const { pod, container, attempt, image, env, folders } = input;
  const podUid = pod.metadata.uid!;
  const security = container.securityContext ?? {};
  return {
    id: containerId(podUid, container.name, attempt),
    podUid,
    name: container.name,
    attempt,
    imageId: input.imageId,
    argv: buildArgv(container, image, env),
    env: mergeEnv(image.env, podHostname(pod), env),
    workingDir: container.workingDir ?? image.workingDir,
    user: containerUser(pod, container, image),
    supplementalGroups: supplementalGroups(pod),
    mounts: allMounts(input),
    resources: containerResources(container),
    readOnlyRootFilesystem: security.readOnlyRootFilesystem === true,
    privileged: security.privileged === true,
    capabilitiesAdd: security.capabilities?.add ?? [],
    capabilitiesDrop: security.capabilities?.drop ?? [],
    terminal: container.tty === true,
    stdin: container.stdin === true,
    logPath: logFile(folders, pod, container.name, attempt),
    logMaxBytes,
  };
}

/** The agent's own files, unless a volume is mounted in their place. */
function allMounts({ pod, container, attempt, volumeMounts, folders }: ContainerInput): readonly Mount[] {
  const podUid = pod.metadata.uid!;
  const own: Mount[] = (['hosts', 'hostname', 'resolv.conf'] as const).map((name) => ({
    hostPath: etcFile(folders, podUid, name),
    containerPath: `/etc/${name}`,
    readOnly: false,
  }));
  own.push({
    hostPath: terminationFile(folders, podUid, container.name, attempt),
    containerPath: container.terminationMessagePath ?? defaultTerminationPath,
    readOnly: false,
  });
  const taken = new Set(volumeMounts.map((mount) => mount.containerPath));
  return [...volumeMounts, ...own.filter((mount) => !taken.has(mount.containerPath))];
}

function supplementalGroups({ spec }: Pod): readonly number[] {
  const { fsGroup, supplementalGroups: groups = [] } = spec.securityContext ?? {};
  return [...new Set(fsGroup === undefined ? groups : [fsGroup, ...groups])];
}

function containerUser(pod: Pod, container: Container, image: ImageConfig): string {
  const podLevel = pod.spec.securityContext ?? {};
  const own = container.securityContext ?? {};
  const uid = own.runAsUser ?? podLevel.runAsUser;
  const gid = own.runAsGroup ?? podLevel.runAsGroup;
  if (own.runAsNonRoot ?? podLevel.runAsNonRoot) {
    const user = uid === undefined ? image.user.split(':')[0]! : String(uid);
    if (user === '' || user === '0' || user === 'root') {
      const message = `container "${container.name}" has runAsNonRoot, but would run as root; set runAsUser`;
      throw new GantryError('invalidArgument', message);
    }
  }
  if (uid === undefined) return gid === undefined ? image.user : `${image.user.split(':')[0] || '0'}:${gid}`;
  return gid === undefined ? String(uid) : `${uid}:${gid}`;
}
