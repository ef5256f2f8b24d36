export default async function globalTeardown() {
  await globalThis.taskStorageTestServer?.stop();
}
