/** Every call that changes something leaves one line: who, from where, what, and how it ended. */
import { isGantryError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import type { Peer } from '../../lib/rpc/peer.ts';
import type { CallContext } from '../../lib/rpc/serve-call.ts';
import type { ObjectEnvelope } from '../../proto/gen/types.ts';

interface Auditable {
  readonly object?: ObjectEnvelope;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly dryRun?: boolean;
  readonly id?: string;
}

type Unary<Request, Response> = (request: Request, context: CallContext) => Promise<Response>;

/** The handler, with its line. What an object holds is never in it. */
export function audited<Request extends object, Response extends object>(
  log: Log,
  verb: string,
  handler: Unary<Request, Response>,
): Unary<Request, Response> {
  return async (request, context) => {
    const audit = { ...whoOf(context.peer), verb, ...whatOf(request as Auditable) };
    try {
      const answer = await handler(request, context);
      const result = (answer as { result?: string }).result;
      log.info({ audit: { ...audit, outcome: result ?? 'done', ...resultOf(answer) } }, 'audit');
      return answer;
    } catch (error) {
      const outcome = isGantryError(error) ? error.code : 'internal';
      log.info({ audit: { ...audit, outcome, reason: messageOf(error).slice(0, 300) } }, 'audit');
      throw error;
    }
  };
}

export function auditStream(log: Log, verb: string, peer: Peer, what: object): void {
  log.info({ audit: { ...whoOf(peer), verb, ...what, outcome: 'started' } }, 'audit');
}

function whoOf(peer: Peer): object {
  return { user: peer.commonName, role: peer.organization, address: peer.address };
}

function whatOf({ object, kind, namespace, name, dryRun, id }: Auditable): object {
  const given = fromEnvelope(object);
  return {
    ...((given?.kind ?? kind) && { kind: given?.kind ?? kind }),
    ...((given?.metadata?.namespace ?? namespace) && { namespace: given?.metadata?.namespace ?? namespace }),
    ...((given?.metadata?.name ?? name) && { name: given?.metadata?.name ?? name }),
    ...(id && { id }),
    ...(dryRun && { dryRun }),
  };
}

/** What the request could not know: the name and identity that the object got. */
function resultOf(answer: object): object {
  const object = fromEnvelope((answer as { object?: ObjectEnvelope }).object);
  if (!object) return {};
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return { name, ...(namespace && { namespace }), uid, resourceVersion };
}
