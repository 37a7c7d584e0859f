import { describe, expect, it } from 'vitest';
import { resolveUser } from '../../../../node-agent/runtime/users.ts';

const passwd = 'root:x:0:0:root:/root:/bin/sh\nbroken line\nweb:x:101:102::/:/bin/sh\n';
const group = 'root:x:0:\nweb:x:102:\nextra:x:200:other,web\n';

describe('resolveUser', () => {
  it.each([
    ['', 0, 0, []],
    ['root', 0, 0, []],
    ['web', 101, 102, [200]],
    ['101', 101, 102, [200]],
    ['1234', 1234, 0, []],
    ['web:extra', 101, 200, []],
    ['web:7', 101, 7, []],
    ['1234:5678', 1234, 5678, []],
    ['web:', 101, 102, [200]],
  ])('"%s" is %i:%i with %j', (user, uid, gid, additionalGids) => {
    expect(resolveUser(user, passwd, group)).toEqual({ uid, gid, additionalGids });
  });

  it('refuses names that the image does not know', () => {
    expect(() => resolveUser('nobody', passwd, group)).toThrow('user "nobody" is not in the image\'s /etc/passwd');
    expect(() => resolveUser('web:nogroup', passwd, group)).toThrow(
      'group "nogroup" is not in the image\'s /etc/group',
    );
    expect(() => resolveUser('web', '', '')).toThrow('user "web"');
  });
});
