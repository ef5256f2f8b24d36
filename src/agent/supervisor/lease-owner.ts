const SEPARATOR = '#';

/**
 * Names a process in the leases that it holds: its replica, which may be started again under the
 * same name, and this start of it.
 *
 * @param bootId different at each start
 */
export function leaseOwnerOf(replica: string, bootId: string): string {
  return `${replica}${SEPARATOR}${bootId}`;
}

/** @returns the replica that a process belonged to */
export function replicaOf(leaseOwner: string): string {
  const end = leaseOwner.lastIndexOf(SEPARATOR);
  return end < 0 ? leaseOwner : leaseOwner.slice(0, end);
}
