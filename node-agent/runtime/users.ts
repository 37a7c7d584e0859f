/** Who a container runs as: `user` of the container or its image, looked up in the image's passwd and group. Pure. */
import { GantryError } from '../../lib/errors.ts';

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Groups in the image's /etc/group that list the user. */
  readonly additionalGids: readonly number[];
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * `user[:group]`, each a name or a number; empty is root. A number that passwd does not know is taken as it is, with
 * group 0, as Docker and Kubernetes do; a name must be known.
 */
export function resolveUser(user: string, passwdText: string, groupText: string): ResolvedUser {
  const passwd = parsePasswd(passwdText);
  const groups = parseGroup(groupText);
  const [userPart = '', groupPart] = (user === '' ? '0' : user).split(':');
  const entry = passwd.find((candidate) =>
    isNumber(userPart) ? candidate.uid === Number(userPart) : candidate.name === userPart,
  );
  if (!entry && !isNumber(userPart)) {
    throw new GantryError(
      'failedPrecondition',
      `user "${userPart}" is not in the image's /etc/passwd; use one that is, or a number`,
    );
  }
  const uid = entry?.uid ?? Number(userPart);
  if (groupPart !== undefined && groupPart !== '')
    return { uid, gid: resolveGroup(groupPart, groups), additionalGids: [] };
  const additionalGids = groups.filter(({ members }) => entry && members.includes(entry.name)).map(({ gid }) => gid);
  return { uid, gid: entry?.gid ?? 0, additionalGids };
}

function resolveGroup(group: string, groups: readonly GroupEntry[]): number {
  if (isNumber(group)) return Number(group);
  const found = groups.find(({ name }) => name === group);
  if (found) return found.gid;
  throw new GantryError(
    'failedPrecondition',
    `group "${group}" is not in the image's /etc/group; use one that is, or a number`,
  );
}

/** passwd(5): name:password:uid:gid:... */
function parsePasswd(text: string): readonly PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':');
    return name && isNumber(uid) && isNumber(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

/** group(5): name:password:gid:member,member */
function parseGroup(text: string): readonly GroupEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members = ''] = line.split(':');
    return name && isNumber(gid) ? [{ name, gid: Number(gid), members: members.split(',') }] : [];
  });
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^[0-9]+$/.test(text);
}
