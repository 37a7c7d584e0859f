/** The database files of an etcd cluster's members, one for each endpoint. */
import type { EtcdClient } from './etcd-client.ts';
import type { Database } from './store.ts';

const statusMs = 2_000;
/** A gigabyte in use takes ten seconds or so. */
const defragmentMs = 45_000;

/** Rejects when one of the members does not answer: it is no time to take another out of service. */
export function etcdDatabases(client: EtcdClient): Promise<readonly Database[]> {
  return Promise.all(client.endpoints.map((address) => databaseAt(client, address)));
}

async function databaseAt(client: EtcdClient, address: string): Promise<Database> {
  const status = await client.callAt(address, statusMs, { write: false }, ({ maintenance }, options) =>
    maintenance.status(options),
  );
  return {
    member: address,
    isLeader: status.leader === status.header.member_id,
    sizeBytes: Number(status.dbSize),
    usedBytes: Number(status.dbSizeInUse),
    async defragment() {
      // Our own calls go to another member meanwhile, where there is one.
      client.leave(address);
      await client.callAt(address, defragmentMs, { write: false }, ({ maintenance }, options) =>
        maintenance.defragment(options),
      );
    },
  };
}
