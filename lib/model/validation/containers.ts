/** Containers and init containers of a pod. */
import type { Container, PodSpec, ResourceRequirements } from '../../../proto/gen/types.ts';
import { at, atKey } from '../problems.ts';
import { parseQuantity } from '../quantity.ts';
import { checkAbsolutePath, checkPort, checkRange, checkUnique, portNameProblem, type Report } from './checks.ts';
import { checkEnvironment } from './environment.ts';
import { checkLifecycle, checkProbes } from './probes.ts';
import { checkIDs, checkVolumeMounts } from './volumes.ts';

export function checkContainers(spec: PodSpec, path: string, report: Report): void {
  const { containers = [], initContainers = [], volumes = [] } = spec;
  const names = [...containers, ...initContainers].map((container) => container.name);
  checkUnique(containers, at(path, 'containers'), (container) => container.name, 'container', report);
  const own = new Set(containers.map((container) => container.name));
  checkUnique(initContainers, at(path, 'initContainers'), (container) => container.name, 'container', report);
  for (const [index, container] of containers.entries()) {
    const here = at(at(path, 'containers'), index);
    checkContainer(container, spec, names, here, report);
    checkProbes(container, here, report);
    checkLifecycle(container, at(here, 'lifecycle'), report);
    checkVolumeMounts(container, volumes, at(here, 'volumeMounts'), report);
  }
  for (const [index, container] of initContainers.entries()) {
    const here = at(at(path, 'initContainers'), index);
    checkContainer(container, spec, names, here, report);
    checkVolumeMounts(container, volumes, at(here, 'volumeMounts'), report);
    if (own.has(container.name)) report(at(here, 'name'), `${JSON.stringify(container.name)} is also in containers`);
    for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const) {
      if (container[field]) report(at(here, field), 'an init container runs to its end; remove it');
    }
  }
  checkHostPorts(containers, at(path, 'containers'), report);
}

function checkContainer(
  container: Container,
  spec: PodSpec,
  containerNames: readonly string[],
  path: string,
  report: Report,
): void {
  if (container.image !== undefined && (container.image === '' || /\s/.test(container.image))) {
    report(at(path, 'image'), `${JSON.stringify(container.image)} is not an image name; write NAME:TAG or NAME@DIGEST`);
  }
  checkAbsolutePath(container.workingDir, at(path, 'workingDir'), report);
  checkAbsolutePath(container.terminationMessagePath, at(path, 'terminationMessagePath'), report);
  checkPorts(container, spec.hostNetwork === true, at(path, 'ports'), report);
  checkEnvironment(container, containerNames, path, report);
  if (container.resources) checkResources(container.resources, at(path, 'resources'), report);
  checkSecurityContext(container, at(path, 'securityContext'), report);
}

function checkPorts({ ports = [] }: Container, hostNetwork: boolean, path: string, report: Report): void {
  checkUnique(ports, path, (port) => port.name || undefined, 'port', report);
  checkUnique(
    ports,
    path,
    (port) => (port.containerPort === undefined ? undefined : `${port.containerPort}/${port.protocol ?? 'TCP'}`),
    'port',
    report,
  );
  for (const [index, port] of ports.entries()) {
    const here = at(path, index);
    if (port.name) report(at(here, 'name'), portNameProblem(port.name));
    checkPort(port.containerPort, at(here, 'containerPort'), report);
    // With hostNetwork it is made of containerPort, where its author wrote it.
    if (!(hostNetwork && port.hostPort === port.containerPort)) {
      checkRange(port.hostPort, 0, 65_535, at(here, 'hostPort'), report);
    }
    if (hostNetwork && port.hostPort && port.hostPort !== port.containerPort) {
      report(at(here, 'hostPort'), `must equal containerPort (${port.containerPort}) with hostNetwork`);
    }
  }
}

function checkHostPorts(containers: readonly Container[], path: string, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { ports = [] }] of containers.entries()) {
    for (const [portIndex, port] of ports.entries()) {
      if (!port.hostPort) continue;
      const key = `${port.hostIP ?? ''}:${port.hostPort}/${port.protocol ?? 'TCP'}`;
      if (seen.has(key)) {
        report(at(at(at(path, index), 'ports'), portIndex), `hostPort ${port.hostPort} is there twice in this pod`);
      }
      seen.add(key);
    }
  }
}

const resourceNames = ['cpu', 'memory', 'ephemeral-storage', 'pids'];

function checkResources(resources: ResourceRequirements, path: string, report: Report): void {
  for (const list of ['limits', 'requests'] as const) {
    for (const [name, text] of Object.entries(resources[list] ?? {})) {
      const here = atKey(at(path, list), name);
      if (!resourceNames.includes(name)) {
        report(here, `Gantry does not know this resource; it has ${resourceNames.join(', ')}`);
      }
      const amount = typeof text === 'string' ? parseQuantity(text) : undefined;
      if (amount !== undefined && amount < 0) report(here, `${text} is negative`);
      const limit = resources.limits?.[name];
      const most = limit === undefined ? undefined : parseQuantity(limit);
      if (list === 'requests' && amount !== undefined && most !== undefined && amount > most) {
        report(here, `${text} is more than the limit ${limit}; raise the limit or request less`);
      }
    }
  }
}

function checkSecurityContext({ securityContext }: Container, path: string, report: Report): void {
  if (!securityContext) return;
  const { runAsUser, runAsGroup, capabilities, privileged, allowPrivilegeEscalation, runAsNonRoot } = securityContext;
  checkIDs({ runAsUser, runAsGroup }, path, report);
  if (privileged && allowPrivilegeEscalation === false) {
    report(at(path, 'allowPrivilegeEscalation'), 'cannot be false with privileged: true');
  }
  if (runAsNonRoot && runAsUser === 0) report(at(path, 'runAsUser'), '0 is root, which runAsNonRoot forbids');
  for (const list of ['add', 'drop'] as const) {
    for (const [index, name] of (capabilities?.[list] ?? []).entries()) {
      if (typeof name === 'string' && !/^[A-Z][A-Z_]*$/.test(name)) {
        const here = at(at(path, `capabilities.${list}`), index);
        report(here, `${JSON.stringify(name)} is not a capability; write it like NET_ADMIN, or ALL`);
      }
    }
  }
}
