/** Label selectors: matching, and Kubernetes' text form (`app=web,tier in (a,b),!canary`). */
import type { LabelSelector, LabelSelectorRequirement } from '../../proto/gen/types.ts';
import { GantryError } from '../errors.ts';

type Labels = Readonly<Record<string, string>>;

export function matchesSelector(selector: LabelSelector, labels: Labels | undefined = {}): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((requirement) => matchesRequirement(requirement, labels))
  );
}

export function matchesLabels(wanted: Labels, labels: Labels | undefined = {}): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

function matchesRequirement({ key, operator, values = [] }: LabelSelectorRequirement, labels: Labels): boolean {
  const present = Object.hasOwn(labels, key);
  switch (operator) {
    case 'Exists':
      return present;
    case 'DoesNotExist':
      return !present;
    case 'In':
      return present && values.includes(labels[key]!);
    case 'NotIn':
      return !present || !values.includes(labels[key]!);
  }
}

const termPatterns: readonly [RegExp, (match: RegExpExecArray) => LabelSelectorRequirement][] = [
  [/^!\s*([^\s=!(),]+)$/, ([, key]) => ({ key: key!, operator: 'DoesNotExist' })],
  [/^([^\s=!(),]+)$/, ([, key]) => ({ key: key!, operator: 'Exists' })],
  [/^([^\s=!(),]+)\s*!=\s*([^\s=!(),]*)$/, ([, key, value]) => ({ key: key!, operator: 'NotIn', values: [value!] })],
  [/^([^\s=!(),]+)\s*==?\s*([^\s=!(),]*)$/, ([, key, value]) => ({ key: key!, operator: 'In', values: [value!] })],
  [
    /^([^\s=!(),]+)\s+(in|notin)\s*\(([^()]*)\)$/,
    ([, key, word, list]) => ({
      key: key!,
      operator: word === 'in' ? 'In' : 'NotIn',
      values: list!.split(',').map((value) => value.trim()),
    }),
  ],
];

/** The time it takes to take one apart grows with the square of its length. */
export const longestSelector = 10_000;

/** Throws invalidArgument naming the part that cannot be read. Empty text selects everything. */
export function parseSelector(text: string): LabelSelector {
  if (text.length > longestSelector) {
    const message = `label selector: ${text.length} characters; at most ${longestSelector} are allowed`;
    throw new GantryError('invalidArgument', `${message}: select by fewer labels`);
  }
  const terms = text.split(/,(?![^(]*\))/).map((term) => term.trim());
  if (terms.length === 1 && terms[0] === '') return {};
  return {
    matchExpressions: terms.map((term) => {
      for (const [pattern, build] of termPatterns) {
        const match = pattern.exec(term);
        if (match) return build(match);
      }
      throw new GantryError(
        'invalidArgument',
        `label selector: cannot read "${term.slice(0, 100)}"; examples: app=web, app!=web, tier in (a,b), !canary`,
      );
    }),
  };
}
