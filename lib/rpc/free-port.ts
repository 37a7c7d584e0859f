/** Whether an address can be listened on, asked before anything else is started or adopted that a failure would disturb. */
import { createServer } from 'node:net';
import { GantryError } from '../errors.ts';

/** `listen` is host:port, `flag` the option that chooses it. Rejects with what is in the way and how to cure it. */
export async function requireFreePort(listen: string, flag: string): Promise<void> {
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(listen);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) {
    throw new GantryError('invalidArgument', `${flag} ${listen}: expected ADDRESS:PORT, for example 0.0.0.0:6443`);
  }
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(listen, flag, error)));
    server.listen({ host: match[1]!, port, exclusive: true }, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}

function cannotListen(listen: string, flag: string, error: NodeJS.ErrnoException): GantryError {
  const port = listen.slice(listen.lastIndexOf(':') + 1);
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `the port is already taken; stop whoever has it (ss -lntp 'sport = :${port}') or give another with ${flag}`,
    EADDRNOTAVAIL: `the address is not one of this machine; see "ip address" and give one of those with ${flag}`,
    EACCES: `ports below 1024 need root; run as root or give a higher one with ${flag}`,
  };
  const reason = reasons[error.code ?? ''] ?? `${error.message}; give another address with ${flag}`;
  return new GantryError('failedPrecondition', `cannot listen on ${listen}: ${reason}`, { cause: error });
}
