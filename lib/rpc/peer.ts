/** Who is calling, by the certificate of the connection. */

export interface Peer {
  /** Certificate subject CN; empty when the peer showed no certificate. */
  readonly commonName: string;
  /** Certificate subject O: admin, editor, viewer, node, control-plane; empty without a certificate. */
  readonly organization: string;
  /** host:port */
  readonly address: string;
}

/** Of a call on grpc-js's server. */
export interface IncomingCall {
  getAuthContext():
    | {
        readonly sslPeerCertificate?: {
          readonly subject: { readonly CN?: string | string[]; readonly O?: string | string[] };
        };
      }
    | undefined;
  getPeer(): string;
}

/** Reading a certificate anew costs a tenth of a short call, and a connection has the same one to its end. */
const peers = new WeakMap<object, Peer>();

export function peerOf(call: IncomingCall): Peer {
  const connection = connectionOf(call);
  const known = connection && peers.get(connection);
  if (known) return known;
  const subject = call.getAuthContext()?.sslPeerCertificate?.subject;
  const peer = { commonName: one(subject?.CN), organization: one(subject?.O), address: call.getPeer() };
  if (connection) peers.set(connection, peer);
  return peer;
}

interface InnerCall {
  readonly nextCall?: InnerCall;
  readonly stream?: { readonly session?: object };
}

/** grpc-js does not show it; where it is not found here, nothing is remembered. */
function connectionOf(call: IncomingCall): object | undefined {
  let inner = (call as { readonly call?: InnerCall }).call;
  while (inner?.nextCall) inner = inner.nextCall;
  return inner?.stream?.session;
}

function one(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? '';
}
