import { describe, expect, it } from 'vitest';
import { classifyPullFailure, explainPullFailure } from '../../../../node-agent/images/pull-failure.ts';

const fatal = (message: string): string => `time="2026-01-01T00:00:00Z" level=fatal msg="${message}"\n`;
const initializing = 'initializing source docker://10.88.0.1:5000/x:1: ';

describe('classifyPullFailure', () => {
  it.each([
    ['ImageNotFound', `${initializing}reading manifest 1 in 10.88.0.1:5000/x: manifest unknown: manifest unknown`],
    [
      'ImageNotFound',
      `${initializing}reading manifest 1 in 10.88.0.1:5000/x: name unknown: repository name not known to registry`,
    ],
    [
      'RegistryUnavailable',
      `${initializing}pinging container registry 10.88.0.1:5000: Get \\"http://x/v2/\\": dial tcp 10.88.0.1:5000: connect: connection refused`,
    ],
    [
      'RegistryUnavailable',
      `${initializing}pinging container registry x: Get \\"https://x/v2/\\": dial tcp: lookup x on 127.0.0.1:53: no such host`,
    ],
    [
      'RegistryUnavailable',
      `${initializing}reading manifest 1 in x: received unexpected HTTP status: 503 Service Unavailable`,
    ],
    [
      'NoSpace',
      'writing blob: adding layer with blob \\"sha256:1\\": Error processing tar file(exit status 1): write /x: no space left on device',
    ],
    ['DigestMismatch', 'writing blob: Digest did not match, expected sha256:1, got sha256:2'],
    ['DigestMismatch', `${initializing}manifest does not match provided manifest digest sha256:1`],
    ['ErrImagePull', `${initializing}reading manifest 1 in x: unauthorized: authentication required`],
  ])('%s: %s', (reason, message) => {
    expect(classifyPullFailure(fatal(message)).reason).toBe(reason);
  });

  it('keeps the end of the chain of words', () => {
    const { words } = classifyPullFailure(fatal(`${initializing}dial tcp 10.88.0.1:5000: connect: connection refused`));
    expect(words).toBe('connect: connection refused');
  });

  it('says what to do about a registry without TLS', () => {
    const { words } = classifyPullFailure(fatal('pinging: http: server gave HTTP response to HTTPS client'));
    expect(words).toContain('list it as an insecure registry');
  });

  it('has something to say about silence', () => {
    expect(classifyPullFailure('')).toEqual({ reason: 'ErrImagePull', words: 'no reason given' });
  });
});

describe('explainPullFailure', () => {
  it('makes an error with a reason, a code and a next step', () => {
    const error = explainPullFailure('ImageNotFound', '10.88.0.1:5000/nope:1', 'manifest unknown');
    expect(error).toMatchObject({ reason: 'ImageNotFound', code: 'notFound', details: ['manifest unknown'] });
    expect(error.message).toBe('image "10.88.0.1:5000/nope:1" not found in the registry; check the name and tag');
  });
});
