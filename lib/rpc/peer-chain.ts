/** The certificates a TLS server shows, before anything is sent to it and before anything of it is believed. */
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { GantryError } from '../errors.ts';
import { hostOf } from '../pki/host.ts';

const timeoutMs = 5_000;

/** DER, the server's own first. unavailable when nothing answers, failedPrecondition when what answers is not TLS. */
export function readPeerChain(address: string): Promise<readonly Uint8Array[]> {
  const host = hostOf(address);
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  return new Promise((resolve, reject) => {
    // Nothing is trusted here: the caller compares the chain with what it was told out of band.
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const fail = (code: 'unavailable' | 'failedPrecondition', reason: string, cause?: unknown): void => {
      socket.destroy();
      reject(new GantryError(code, reason, { cause }));
    };
    socket.setTimeout(timeoutMs, () => fail('unavailable', `${address} does not answer`));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.syscall && error.code !== 'EPROTO')
        fail('unavailable', `${address} cannot be reached: ${error.message}`, error);
      else fail('failedPrecondition', `what answers at ${address} does not speak TLS; is it the join port?`, error);
    });
    socket.once('secureConnect', () => {
      const chain = [...certificates(socket.getPeerCertificate(true))];
      socket.destroy();
      resolve(chain);
    });
  });
}

function* certificates(first: DetailedPeerCertificate): Generator<Uint8Array> {
  const seen = new Set<string>();
  for (
    let certificate: DetailedPeerCertificate | undefined = first;
    certificate?.raw && !seen.has(certificate.fingerprint256);
    certificate = certificate.issuerCertificate
  ) {
    seen.add(certificate.fingerprint256);
    yield certificate.raw;
  }
}
