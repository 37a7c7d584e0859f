import { expect, test } from 'vitest';
import { rcodeName, Type } from '../../../../lib/dns/message.ts';
import { answerWithSearch } from '../../../../lib/dns/search-path.ts';
import { options, records, text } from './fixtures.ts';

/** As a pod in namespace `prod` asks. */
function ask(name: string, namespace: string | undefined = 'prod', type: number = Type.A): string {
  const found = answerWithSearch({ name, type }, records, options, namespace);
  if (!found) return 'forward';
  const chase = found.chase ? ` ? ${found.chase.name}` : '';
  return `${rcodeName(found.reply.rcode)} ${found.reply.answers.map(text).join(', ')}${chase}`.trim();
}

test.each([
  ['db.prod.svc.cluster.local', 'NOERROR db.prod.svc A 10.42.1.7, db.prod.svc A 10.42.2.7'],
  [
    'echo.default.prod.svc.cluster.local',
    'NOERROR echo.default.prod.svc CNAME echo.default.svc, echo.default.svc A 10.43.0.5',
  ],
  [
    'echo.default.svc.prod.svc.cluster.local',
    'NOERROR echo.default.svc.prod.svc CNAME echo.default.svc, echo.default.svc A 10.43.0.5',
  ],
  [
    'echo.default.svc.cluster.local.prod.svc.cluster.local',
    'NOERROR echo.default.svc.cluster.local.prod.svc CNAME echo.default.svc, echo.default.svc A 10.43.0.5',
  ],
  [
    'www.example.com.prod.svc.cluster.local',
    'NOERROR www.example.com.prod.svc CNAME www.example.com. ? www.example.com',
  ],
  ['nosuch.default.svc.cluster.local.prod.svc.cluster.local', 'NXDOMAIN'],
  // Of another namespace's search path, or of none: only what was asked.
  ['echo.default.other.svc.cluster.local', 'NXDOMAIN'],
  ['nosuch.svc.cluster.local', 'NXDOMAIN'],
])('%s', (name, expected) => {
  expect(ask(name)).toBe(expected);
});

test('"no such name" upstream becomes the first answer', () => {
  const question = { name: 'nosuch.prod.svc.cluster.local', type: Type.A };
  expect(answerWithSearch(question, records, options, 'prod')?.otherwise?.rcode).toBe(3);
});

test('address families agree about which name exists', () => {
  expect(ask('echo.default.prod.svc.cluster.local', 'prod', Type.AAAA)).toBe(
    'NOERROR echo.default.prod.svc CNAME echo.default.svc',
  );
});

test('unknown clients get plain answers', () => {
  expect(
    answerWithSearch({ name: 'echo.default.prod.svc.cluster.local', type: Type.A }, records, options, undefined)?.reply
      .rcode,
  ).toBe(3);
});
