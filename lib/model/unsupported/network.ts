/** What Gantry lacks of services, endpoints and nodes. */
import { always, isOneOf, later, type UnsupportedTable } from './reasons.ts';

export const networkFields: UnsupportedTable = {
  'ServiceSpec.externalTrafficPolicy': { ...later('traffic policies', 'remove it'), harmless: isOneOf('Cluster') },
  'ServiceSpec.internalTrafficPolicy': { ...later('traffic policies', 'remove it'), harmless: isOneOf('Cluster') },
  'ServiceSpec.trafficDistribution': later('traffic distribution', 'remove it'),
  'ServiceSpec.loadBalancerIP': later('load balancers', 'use type NodePort'),
  'ServiceSpec.loadBalancerClass': later('load balancers', 'use type NodePort'),
  'ServiceSpec.loadBalancerSourceRanges': later('load balancers', 'use type NodePort'),
  'ServiceSpec.allocateLoadBalancerNodePorts': later('load balancers', 'use type NodePort'),
  'ServiceSpec.healthCheckNodePort': later('load balancers', 'use type NodePort'),
  'ServiceSpec.externalIPs': later('external IPs', 'use type NodePort'),
  'ServiceSpec.sessionAffinityConfig': later('sessionAffinityConfig', 'remove it'),
  'ServiceSpec.ipFamilies': {
    reason: 'services have IPv4 addresses only',
    cure: 'remove it',
    harmless: isOneOf(['IPv4']),
  },
  'ServiceSpec.ipFamilyPolicy': {
    reason: 'services have IPv4 addresses only',
    cure: 'remove it',
    harmless: isOneOf('SingleStack', 'PreferDualStack'),
  },
  'Endpoint.zone': later('topology hints', 'remove it'),
  'Endpoint.hints': later('topology hints', 'remove it'),
  'NodeSpec.podCIDRs': { reason: 'a node has one range', cure: 'remove it', harmless: always },
  'NodeSpec.configSource': { reason: 'agents are configured by flags', cure: 'remove it' },
};

/** Values of enumerations that Kubernetes has beside ours. */
export const networkValues: UnsupportedTable = {
  'ServiceSpec.type=LoadBalancer': later('load balancers', 'use type NodePort, which opens the port on every node'),
  'EndpointSlice.addressType=IPv6': later('IPv6 endpoints', 'use addressType: IPv4'),
  'EndpointSlice.addressType=FQDN': later('FQDN endpoints', 'use a Service of type ExternalName'),
};
