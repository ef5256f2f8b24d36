import type { MigrationInterface } from 'typeorm';

/** A migration for tables of certain names, in the form that TypeORM takes. */
export type MigrationClass = new () => MigrationInterface & { readonly name: string };

/** Why no migration goes back: what it would drop is the users' tasks. */
export async function refuseToGoBack(): Promise<void> {
  throw new Error('Migrations of the task storage only go forward; restore a backup to go back');
}
