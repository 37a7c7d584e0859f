/** Why there is each revision. */
import { expect, it } from 'vitest';
import { changeCauses, type Revision } from '../../../cli/rollouts.ts';

function revision(image: string, copy: string | undefined, changeCause?: string): Revision {
  const template = { spec: { containers: [{ name: 'main', image }] } };
  const copies = copy === undefined ? {} : { 'Secret/key': `web-key-${copy}`, 'ConfigMap/settings': 'web-settings-a' };
  return { name: 'r', number: 1, template, copies, ...(changeCause !== undefined && { changeCause }) };
}
const noted = (cause: string, of: Revision): Revision => ({ ...of, cause });

it.each([
  ['what the author said', [revision('a', undefined, 'first')], ['first']],
  ['nothing', [revision('a', undefined)], ['<none>']],
  [
    'content that is new to the workload is no change',
    [revision('a', undefined), revision('a', 'x')],
    ['<none>', '<none>'],
  ],
  [
    'other content: what was said of the revision before is not said again',
    [revision('a', 'x', 'first'), revision('a', 'y', 'first')],
    ['first', 'Secret key changed to y'],
  ],
  [
    'another template and other content',
    [revision('a', 'x', 'first'), revision('b', 'y', 'first')],
    ['first', 'first; Secret key changed to y'],
  ],
  [
    'other content, of which something is said',
    [revision('a', 'x', 'first'), revision('a', 'y', 'key renewed')],
    ['first', 'key renewed; Secret key changed to y'],
  ],
  [
    'what was noted, whatever revision is before it now',
    [
      revision('a', 'y', 'first'),
      noted('undo to revision 1', revision('a', 'x')),
      noted('', revision('a', 'z')),
      noted('Secret key changed to y', revision('a', 'y', 'key renewed')),
    ],
    ['first', 'undo to revision 1', '<none>', 'key renewed'],
  ],
])('%s', (_what, revisions, causes) => {
  expect(changeCauses(revisions)).toEqual(causes);
});
