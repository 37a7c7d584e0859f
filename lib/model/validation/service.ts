/** Service and EndpointSlice. */
import type { EndpointSlice, Service, ServicePort, ServiceSpec } from '../../../proto/gen/types.ts';
import { dnsLabelProblem, dnsSubdomainProblem, isIPv4 } from '../formats.ts';
import { at } from '../problems.ts';
import { checkLabels, checkPort, checkPortOrName, checkRange, checkUnique, type Report } from './checks.ts';

export const lowestNodePort = 30_000;
export const highestNodePort = 32_767;

export function checkService({ spec }: Service, old: Service | undefined, report: Report): void {
  if (!spec) return;
  checkLabels(spec.selector, 'spec.selector', report);
  checkClusterIP(spec, report);
  checkPorts(spec, report);
  if (spec.type === 'ExternalName') {
    if (!spec.externalName) report('spec.externalName', 'required with type ExternalName');
    else report('spec.externalName', dnsSubdomainProblem(spec.externalName.replace(/\.$/, '')));
  } else if (spec.externalName) {
    report('spec.externalName', 'only with type ExternalName');
  }
  const keeps = old && old.spec.type !== 'ExternalName' && spec.type !== 'ExternalName';
  if (keeps && old.spec.clusterIP && spec.clusterIP !== old.spec.clusterIP) {
    const message = `never changes (it is ${old.spec.clusterIP}); delete the service and create it again`;
    report('spec.clusterIP', message);
  }
}

function checkClusterIP({ clusterIP, clusterIPs = [], type }: ServiceSpec, report: Report): void {
  if (clusterIPs.length > 1) report('spec.clusterIPs', 'a service has one address; keep one');
  if (clusterIPs.length === 1 && clusterIPs[0] !== clusterIP) {
    report('spec.clusterIPs', `must be the same as clusterIP (${clusterIP ?? 'absent'}); remove it`);
  }
  if (!clusterIP) return;
  if (type === 'ExternalName') {
    report('spec.clusterIP', 'a service of type ExternalName has no address; remove it');
  } else if (clusterIP === 'None') {
    if (type === 'NodePort') report('spec.clusterIP', 'a service of type NodePort cannot be headless');
  } else if (!isIPv4(clusterIP)) {
    report(
      'spec.clusterIP',
      `${JSON.stringify(clusterIP)} is neither None nor an IPv4 address; leave it out to get one`,
    );
  }
}

function checkPorts({ ports = [], type, clusterIP }: ServiceSpec, report: Report): void {
  if (ports.length === 0 && type !== 'ExternalName' && clusterIP !== 'None') report('spec.ports', 'required');
  checkUnique(ports, 'spec.ports', (port) => port.name || undefined, 'port', report);
  const numbered = (numberOf: (port: ServicePort) => number | undefined) => (port: ServicePort) =>
    numberOf(port) ? `${numberOf(port)}/${port.protocol ?? 'TCP'}` : undefined;
  checkUnique(
    ports,
    'spec.ports',
    numbered((port) => port.port),
    'port',
    report,
  );
  checkUnique(
    ports,
    'spec.ports',
    numbered((port) => port.nodePort),
    'nodePort',
    report,
  );
  for (const [index, port] of ports.entries()) {
    const here = at('spec.ports', index);
    if (port.name) report(at(here, 'name'), dnsLabelProblem(port.name));
    else if (ports.length > 1) report(at(here, 'name'), 'required when a service has more than one port');
    checkPort(port.port, at(here, 'port'), report);
    checkPortOrName(port.targetPort, at(here, 'targetPort'), report);
    if (port.nodePort === undefined || port.nodePort === 0) continue;
    if (type === 'NodePort') {
      checkRange(port.nodePort, lowestNodePort, highestNodePort, at(here, 'nodePort'), report);
    } else {
      report(at(here, 'nodePort'), 'only with type NodePort');
    }
  }
}

export function checkEndpointSlice(slice: EndpointSlice, old: EndpointSlice | undefined, report: Report): void {
  const { endpoints = [], ports = [] } = slice;
  if (endpoints.length > 1000) report('endpoints', `${endpoints.length} in one slice; at most 1000 are allowed`);
  for (const [index, endpoint] of endpoints.entries()) {
    const here = at(at('endpoints', index), 'addresses');
    if (!endpoint.addresses?.length) report(here, 'required');
    for (const [addressIndex, address] of (endpoint.addresses ?? []).entries()) {
      if (typeof address === 'string' && !isIPv4(address)) {
        report(at(here, addressIndex), `${JSON.stringify(address)} is not an IPv4 address`);
      }
    }
  }
  checkUnique(ports, 'ports', (port) => port.name ?? '', 'port', report);
  for (const [index, port] of ports.entries()) checkPort(port.port, at(at('ports', index), 'port'), report);
  if (old && old.addressType !== slice.addressType) report('addressType', 'never changes');
}
