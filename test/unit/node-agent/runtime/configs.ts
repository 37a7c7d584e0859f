/** Small sandbox and container configurations for tests. */
import type { ContainerConfig, SandboxConfig } from '../../../../node-agent/runtime/runtime.ts';

export function sandboxConfig(parts: Partial<SandboxConfig> = {}): SandboxConfig {
  return {
    podUid: 'p',
    podName: 'web-0',
    podNamespace: 'default',
    hostname: 'web-0',
    hostNetwork: false,
    hostPID: false,
    hostIPC: false,
    resources: {},
    ...parts,
  };
}

export function containerConfig(parts: Partial<ContainerConfig> = {}): ContainerConfig {
  return {
    id: 'p-web-0',
    podUid: 'p',
    name: 'web',
    attempt: 0,
    imageId: 'image',
    argv: ['/bin/web'],
    env: {},
    workingDir: '',
    user: '',
    mounts: [],
    resources: {},
    readOnlyRootFilesystem: false,
    privileged: false,
    capabilitiesAdd: [],
    capabilitiesDrop: [],
    terminal: false,
    stdin: false,
    logPath: '/log/p/web/0.log',
    logMaxBytes: 1_000_000,
    ...parts,
  };
}
