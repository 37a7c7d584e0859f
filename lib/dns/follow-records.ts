/** The records of now: rebuilt by the first question after a change, so that a burst of changes costs one rebuild. */
import { createRecordsBuilder, type ObjectReader, type Records } from './records.ts';

export interface FollowedRecords {
  /** Undefined while the reader has nothing to show yet. The same object until something changes. */
  current(): Records | undefined;
  stop(): void;
}

export interface FollowOptions {
  readonly reader: ObjectReader;
  /** False until the reader has had everything once: then "no such name" would be a lie. */
  readonly isReady: () => boolean;
  /** Calls back after each change that may concern DNS; returns its cancel. */
  readonly onChange: (callback: () => void) => () => void;
}

export const dnsKinds: readonly string[] = ['Service', 'EndpointSlice', 'Namespace'];

export function followRecords({ reader, isReady, onChange }: FollowOptions): FollowedRecords {
  const builder = createRecordsBuilder();
  let records: Records | undefined;
  let stale = true;
  const cancel = onChange(() => {
    stale = true;
  });
  return {
    current() {
      if (stale && isReady()) {
        records = builder.build(reader);
        stale = false;
      }
      return records;
    },
    stop: cancel,
  };
}
