/** The runtime's list, by pod. */
import type { ContainerStatus, Runtime, SandboxStatus } from '../runtime/runtime.ts';

export interface RuntimePod {
  readonly sandbox: SandboxStatus | undefined;
  readonly containers: readonly ContainerStatus[];
}

export async function observePod(runtime: Runtime, podUid: string): Promise<RuntimePod> {
  const { sandboxes, containers } = await runtime.list(podUid);
  return { sandbox: sandboxes[0], containers };
}

export async function observeAllPods(runtime: Runtime): Promise<ReadonlyMap<string, RuntimePod>> {
  const pods = new Map<string, { sandbox: SandboxStatus | undefined; containers: ContainerStatus[] }>();
  const entry = (podUid: string): { sandbox: SandboxStatus | undefined; containers: ContainerStatus[] } => {
    const pod = pods.get(podUid) ?? { sandbox: undefined, containers: [] };
    pods.set(podUid, pod);
    return pod;
  };
  const { sandboxes, containers } = await runtime.list();
  for (const sandbox of sandboxes) entry(sandbox.podUid).sandbox = sandbox;
  for (const container of containers) entry(container.podUid).containers.push(container);
  return pods;
}
