/** What users do about configuration: change, make or remove what some Deployment follows. */
import { isDeleting } from '../../lib/model/object.ts';
import type { SimUser } from './users.ts';
import { followsConfiguration, referencesOf } from './workloads/configuration.ts';
import { configMap, secret } from './workloads/others.ts';
import { pick } from './workloads/workload.ts';

export async function reconfigure(user: SimUser): Promise<void> {
  const { checker, random } = user;
  const followers = checker.list('Deployment').filter((one) => followsConfiguration(one) && !isDeleting(one));
  if (followers.length === 0) return;
  const { metadata, spec } = pick(followers, random);
  const { namespace = 'default' } = metadata;
  const references = referencesOf(spec.template);
  if (references.length === 0) return;
  const { kind, name } = pick(references, random);
  if (random.next() < 0.1) {
    await user.delete(kind, name, { namespace });
    return;
  }
  const made = (kind === 'Secret' ? secret : configMap).make(name, random, 0);
  await user.apply({ ...made, metadata: { ...made.metadata, namespace } } as typeof made);
}
