/** Host ports in force: those of pods attached in this process's life, and those a former process attached. Pure. */
import type { Pod } from '../../proto/gen/types.ts';
import { podLinkName } from './addresses.ts';
import type { HostPort, PodAttachment } from './network.ts';
import type { HostPortTarget } from './services.ts';

export function hostPortsOfPod(pod: Pod): HostPort[] {
  if (pod.spec.hostNetwork) return [];
  return [...(pod.spec.containers ?? [])].flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort, containerPort, hostIP, protocol = 'TCP' }) =>
      hostPort && protocol !== 'SCTP'
        ? [{ protocol, hostPort, containerPort, ...(hostIP !== undefined && { hostIP }) }]
        : [],
    ),
  );
}

/** `inherited`: cables found at start whose pods nobody has attached again yet; the pods' specs say their ports. */
export function hostPortTargets(
  attached: Iterable<PodAttachment>,
  inherited: ReadonlySet<string>,
  pods: readonly Pod[],
): HostPortTarget[] {
  const known = [...attached].map(({ ip, hostPorts }) => ({ ip, hostPorts }));
  const adopted = pods
    .filter(({ metadata, status }) => status?.podIP !== undefined && inherited.has(podLinkName(metadata.uid ?? '')))
    .map((pod) => ({ ip: pod.status!.podIP!, hostPorts: hostPortsOfPod(pod) }));
  return [...known, ...adopted].flatMap(({ ip, hostPorts }) => hostPorts.map((port) => ({ ...port, podIP: ip })));
}
