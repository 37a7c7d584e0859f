/** Go's flags on commander's terms, durations, and labels on the command line. */
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { normalizeArguments } from '../../../cli/arguments.ts';
import { splitPairs } from '../../../cli/commands/label.ts';
import { parseDurationMs, parseDurationSeconds } from '../../../cli/duration.ts';
import { parseTargets, qualifiedName } from '../../../cli/resources.ts';

function program(): Command {
  const ctl = new Command('ctl').option('-n, --namespace <name>');
  ctl
    .command('delete')
    .option('--wait', 'x')
    .option('--no-wait', 'x')
    .option('--force', 'x')
    .option('--no-headers', 'x')
    .option('-l, --selector <labels>', 'x');
  return ctl;
}

describe('normalizeArguments', () => {
  it.each([
    ['delete --wait=false', 'delete --no-wait'],
    ['delete --wait=true', 'delete --wait'],
    ['delete --force=false', 'delete'],
    ['delete --no-headers=true', 'delete --no-headers'],
    ['delete -n=web', 'delete -n web'],
    ['delete --selector=true', 'delete --selector=true'],
    ['delete --unknown=true', 'delete --unknown=true'],
    ['delete -- --wait=false -n=x', 'delete -- --wait=false -n=x'],
  ])('`%s` becomes `%s`', (given, wanted) => {
    expect(normalizeArguments(given.split(' '), program()).join(' ')).toBe(wanted);
  });
});

describe('durations', () => {
  it.each([
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['500ms', 500],
    ['5', 5000],
    ['0s', 0],
    ['-1s', -1000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(['', 'x', '5x', '1h 30m', '--1s'])('refuses %j', (text) => {
    expect(() => parseDurationMs(text)).toThrow('is not a duration; examples: 90s, 30m, 24h, 1h30m');
  });

  it('rounds seconds up', () => {
    expect(parseDurationSeconds('1500ms')).toBe(2);
  });
});

describe('resources on the command line', () => {
  it.each([
    ['pods', 'Pod/'],
    ['po web', 'Pod/web'],
    ['deploy/web svc/web', 'Deployment/web Service/web'],
    ['deployments.apps web', 'Deployment/web'],
    ['svc,deploy a b', 'Service/a Service/b Deployment/a Deployment/b'],
  ])('`%s` is %s', (words, wanted) => {
    const targets = parseTargets(words.split(' '));
    expect(targets.map(({ info, name = '' }) => `${info.kind}/${name}`).join(' ')).toBe(wanted);
  });

  it('takes `all` for what runs and serves', () => {
    const kinds = parseTargets(['all']).map(({ info }) => info.kind);
    expect(kinds).toEqual(expect.arrayContaining(['Pod', 'Service', 'Deployment', 'ReplicaSet']));
    for (const kind of ['Secret', 'ConfigMap', 'Event', 'Node'] as const) expect(kinds).not.toContain(kind);
  });

  it.each([
    ['widgets', `the server doesn't have a resource type "widgets"; it has `],
    ['deploymnet', `the server doesn't have a resource type "deploymnet"; did you mean "deployment"?`],
    ['po,sts,confgmaps x', `did you mean "configmaps"?`],
    ['endpoint', 'it has '],
    ['pod/web x', '"x": write TYPE/NAME'],
    ['pod/', '"pod/": write TYPE/NAME'],
  ])('refuses `%s`', (words, sentence) => {
    expect(() => parseTargets(words.split(' '))).toThrow(sentence);
  });

  it('names objects with their group', () => {
    expect(qualifiedName('Deployment', 'web')).toBe('deployment.apps/web');
    expect(qualifiedName('Pod', 'web')).toBe('pod/web');
  });
});

describe('labels on the command line', () => {
  it('tells resources from pairs', () => {
    expect(splitPairs(['pod', 'web', 'a=1', 'b=', 'c-', 'd=x=y'])).toEqual({
      resources: ['pod', 'web'],
      pairs: { a: '1', b: '', c: null, d: 'x=y' },
    });
  });

  it.each([
    [['=1'], 'write KEY=VALUE'],
    [['a=1', 'a-'], '"a" is given twice'],
  ])('refuses %j', (words, sentence) => {
    expect(() => splitPairs(words)).toThrow(sentence);
  });
});
