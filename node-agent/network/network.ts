/** What the pod lifecycle needs of the node's network. Every call is idempotent. */
export interface PodAttachment {
  readonly podUid: string;
  /** Path of the pod's network namespace, as runtime's Sandbox gives it. */
  readonly netnsPath: string;
  /** status.podIP, from this node's podCIDR. */
  readonly ip: string;
  readonly hostPorts: readonly HostPort[];
}

export interface HostPort {
  readonly protocol: 'TCP' | 'UDP';
  readonly hostPort: number;
  readonly containerPort: number;
  readonly hostIP?: string;
}

export interface PodNetwork {
  /** veth into the namespace, address, routes, host ports. */
  attach(attachment: PodAttachment): Promise<void>;
  /** Removes what attach made; gone is success. */
  detach(podUid: string): Promise<void>;
  /** Removes attachments of pods not in the list (after a crash). */
  retain(podUIDs: ReadonlySet<string>): Promise<void>;
  /** Nameserver for resolv.conf of pods on this node. */
  readonly dnsIP: string;
}
