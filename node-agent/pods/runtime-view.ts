/** The runtime's list, asked for once when many pods look at the same moment. */
import type { ContainerStatus, Runtime, SandboxStatus } from '../runtime/runtime.ts';

export interface RuntimePod {
  readonly sandbox: SandboxStatus | undefined;
  readonly containers: readonly ContainerStatus[];
}

export interface RuntimeView {
  /** As it is now: never older than the call. */
  of(podUid: string): Promise<RuntimePod>;
  all(): Promise<ReadonlyMap<string, RuntimePod>>;
}

export function createRuntimeView(runtime: Runtime): RuntimeView {
  let next: Promise<ReadonlyMap<string, RuntimePod>> | undefined;
  const all = (): Promise<ReadonlyMap<string, RuntimePod>> => {
    // The list is begun after the present turn, so everyone who asks within it gets one that is new.
    next ??= Promise.resolve().then(async () => {
      next = undefined;
      return group(await runtime.list());
    });
    return next;
  };
  return {
    all,
    of: async (podUid) => (await all()).get(podUid) ?? { sandbox: undefined, containers: [] },
  };
}

function group(list: Awaited<ReturnType<Runtime['list']>>): ReadonlyMap<string, RuntimePod> {
  const pods = new Map<string, { sandbox: SandboxStatus | undefined; containers: ContainerStatus[] }>();
  const entry = (podUid: string): { sandbox: SandboxStatus | undefined; containers: ContainerStatus[] } => {
    const pod = pods.get(podUid) ?? { sandbox: undefined, containers: [] };
    pods.set(podUid, pod);
    return pod;
  };
  for (const sandbox of list.sandboxes) entry(sandbox.podUid).sandbox = sandbox;
  for (const container of list.containers) entry(container.podUid).containers.push(container);
  return pods;
}
