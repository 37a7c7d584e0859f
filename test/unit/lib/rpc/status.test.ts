import { describe, expect, it } from 'vitest';
import { GantryError } from '../../../../lib/errors.ts';
import { toStatus } from '../../../../lib/rpc/status.ts';

/** What HTTP/2 peers take before they end the connection, with all its other calls. */
const largestHeaderBytes = 64 * 1024;

describe('the status of an error', () => {
  it('stays within what headers may hold, whatever the error quotes', () => {
    const details = Array.from({ length: 60 }, (_, index) => `${index} ${'가'.repeat(490)}`);
    const status = toStatus(new GantryError('invalidArgument', '가'.repeat(100_000), { details }));
    const sent = status.metadata!.get('gantry-details-bin').map(String);
    const base64Bytes = sent.reduce((sum, detail) => sum + (4 * Buffer.byteLength(detail)) / 3 + 30, 0);
    expect(encodeURIComponent(status.details!).length + base64Bytes).toBeLessThan(largestHeaderBytes);
    expect(sent[0]).toBe(details[0]);
    expect(sent.at(-1)).toBe(`... and ${60 - (sent.length - 1)} more`);
  });

  it('says all of an ordinary one', () => {
    const error = new GantryError('notFound', 'pods "web" not found', { details: ['one', 'two'] });
    const status = toStatus(error);
    expect(status).toMatchObject({ code: 5, details: 'pods "web" not found' });
    expect(status.metadata!.get('gantry-details-bin').map(String)).toEqual(['one', 'two']);
  });
});
