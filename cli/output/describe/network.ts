/** `ctl describe service` and `endpoints`. Pure. */
import type { EndpointSlice, Service } from '../../../proto/gen/types.ts';
import { labelsText } from '../column-parts.ts';
import { endpointsText, serviceNameOf } from '../columns.ts';
import { headLines, indented, none, tableLines } from './lines.ts';

export function serviceLines(service: Service, slices: readonly EndpointSlice[]): string[] {
  const { spec } = service;
  const type = spec.type ?? 'ClusterIP';
  const own = slices.filter((slice) => serviceNameOf(slice) === service.metadata.name);
  return [
    ...headLines(service),
    `Selector:\t${labelsText(spec.selector)}`,
    `Type:\t${type}`,
    ...(spec.clusterIP ? [`IP:\t${spec.clusterIP}`, `IPs:\t${spec.clusterIPs?.join(',') ?? spec.clusterIP}`] : []),
    ...(spec.externalName ? [`External Name:\t${spec.externalName}`] : []),
    ...(spec.ports ?? []).flatMap((port) => {
      const { name = '<unset>', protocol = 'TCP', targetPort, nodePort } = port;
      return [
        `Port:\t${name}  ${port.port}/${protocol}`,
        `TargetPort:\t${targetPort ?? port.port}/${protocol}`,
        ...(nodePort ? [`NodePort:\t${name}  ${nodePort}/${protocol}`] : []),
        ...(type === 'ExternalName' ? [] : [`Endpoints:\t${endpointsOfPort(own, port.name)}`]),
      ];
    }),
    ...((spec.ports ?? []).length === 0 && type !== 'ExternalName' ? [`Endpoints:\t${endpointsOfPort(own)}`] : []),
    `Session Affinity:\t${spec.sessionAffinity ?? 'None'}`,
  ];
}

function endpointsOfPort(slices: readonly EndpointSlice[], name?: string): string {
  const texts = slices.map((slice) =>
    endpointsText({ ...slice, ports: (slice.ports ?? []).filter((port) => (port.name ?? '') === (name ?? '')) }),
  );
  return texts.filter((text) => text !== none).join(',') || none;
}

export function endpointSliceLines(slice: EndpointSlice): string[] {
  const { addressType, endpoints = [], ports = [] } = slice;
  const rows = ports.map(({ name, port, protocol = 'TCP' }) => [name || '<unset>', String(port ?? ''), protocol]);
  return [
    ...headLines(slice),
    `AddressType:\t${addressType}`,
    ...(rows.length === 0 ? [`Ports:\t${none}`] : ['Ports:', ...tableLines(['Name', 'Port', 'Protocol'], rows)]),
    ...(endpoints.length === 0 ? [`Endpoints:\t${none}`] : ['Endpoints:']),
    ...endpoints.flatMap(({ addresses = [], conditions, hostname, targetRef, nodeName }) => [
      `  - Addresses:\t${addresses.join(',')}`,
      ...indented(
        [
          'Conditions:',
          `  Ready:\t${conditions?.ready ?? true}`,
          ...(conditions?.terminating ? [`  Terminating:\t${conditions.terminating}`] : []),
          `Hostname:\t${hostname ?? '<unset>'}`,
          ...(targetRef ? [`TargetRef:\t${targetRef.kind}/${targetRef.name}`] : []),
          `NodeName:\t${nodeName ?? '<unset>'}`,
        ],
        4,
      ),
    ]),
  ];
}
