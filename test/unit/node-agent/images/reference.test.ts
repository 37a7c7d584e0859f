import { describe, expect, it } from 'vitest';
import { isReferenceProblem, parseReference } from '../../../../node-agent/images/reference.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io', 'docker.io/library/nginx:latest'],
    ['nginx:1.25', 'docker.io', 'docker.io/library/nginx:1.25'],
    ['team/app', 'docker.io', 'docker.io/team/app:latest'],
    ['index.docker.io/nginx', 'r:5000', 'docker.io/library/nginx:latest'],
    ['docker.io/nginx', 'r:5000', 'docker.io/library/nginx:latest'],
    ['nginx', '10.88.0.1:5000', '10.88.0.1:5000/nginx:latest'],
    ['team/app:v1', '10.88.0.1:5000', '10.88.0.1:5000/team/app:v1'],
    ['localhost/app', 'r:5000', 'localhost/app:latest'],
    ['localhost:5000/app', 'r:5000', 'localhost:5000/app:latest'],
    ['[::1]:5000/app', 'r:5000', '[::1]:5000/app:latest'],
    ['ghcr.io/a/b/c:x_Y.z-1', 'r:5000', 'ghcr.io/a/b/c:x_Y.z-1'],
    [`nginx@${digest}`, 'r:5000', `r:5000/nginx@${digest}`],
    [`nginx:1@${digest}`, 'r:5000', `r:5000/nginx@${digest}`],
    ['a__b/c-d.e', 'r:5000', 'r:5000/a__b/c-d.e:latest'],
  ])('%s with default registry %s is %s', (text, registry, whole) => {
    expect(parseReference(text, registry)).toMatchObject({ text: whole });
  });

  it.each([
    ['', 'empty'],
    ['Nginx', '"Nginx"'],
    ['a b', 'white space'],
    ['nginx:', 'the tag ""'],
    ['nginx:-x', 'the tag "-x"'],
    ['nginx:a:b', 'more than one tag'],
    ['nginx@sha256:12', 'the digest "sha256:12"'],
    [`nginx@${digest}@${digest}`, 'more than one "@"'],
    ['a//b', '""'],
    ['a/', '""'],
    ['/a', '""'],
    ['-a', '"-a"'],
    ['https://r/x', 'registry'],
    ['r.example:99999999/x', 'registry'],
    ['a_-b', '"a_-b"'],
    [`r.example/${'a/'.repeat(130)}a`, 'longer'],
    ['nginx;rm', '"nginx;rm"'],
    ['nginx\nx', 'white space'],
  ])('%j is refused: %s', (text, words) => {
    const parsed = parseReference(text, 'docker.io');
    expect(isReferenceProblem(parsed) && parsed.problem).toContain(words);
  });

  it('names what it parsed', () => {
    expect(parseReference('team/app:v1', 'r:5000')).toEqual({
      registry: 'r:5000',
      repository: 'team/app',
      tag: 'v1',
      text: 'r:5000/team/app:v1',
    });
  });
});
