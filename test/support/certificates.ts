import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';

/** The certificates that are kept beside the tests, by the names of their files. */
export function certificatePath(file: string): string {
  return fileURLToPath(new URL(`./certificates/${file}`, import.meta.url));
}

/** What a client trusts and shows. @param holder whose certificate it shows; `null` for none */
export function tlsClient(holder: string | null = null): ChannelCredentials {
  const ca = readFileSync(certificatePath('ca.crt'));
  return holder === null
    ? credentials.createSsl(ca)
    : credentials.createSsl(
        ca,
        readFileSync(certificatePath(`${holder}.key`)),
        readFileSync(certificatePath(`${holder}.crt`)),
      );
}

/** The files of a service, in a folder of their own, for a test to change. */
export class ServiceCertificate {
  private constructor(private readonly folder: string) {}

  static async create(): Promise<ServiceCertificate> {
    const files = new ServiceCertificate(await mkdtemp(join(tmpdir(), 'certificate-')));
    await files.write('server');
    return files;
  }

  get certFile(): string {
    return join(this.folder, 'tls.crt');
  }

  get keyFile(): string {
    return join(this.folder, 'tls.key');
  }

  /** Writes the files of a holder over those before. */
  async write(holder: string): Promise<void> {
    await copyFile(certificatePath(`${holder}.crt`), this.certFile);
    await copyFile(certificatePath(`${holder}.key`), this.keyFile);
  }

  /** Puts links to the files of a holder in the place of those before, as Kubernetes does. */
  async link(holder: string): Promise<void> {
    for (const [file, kind] of [
      [this.certFile, 'crt'],
      [this.keyFile, 'key'],
    ] as const) {
      await symlink(certificatePath(`${holder}.${kind}`), `${file}.new`);
      await rename(`${file}.new`, file);
    }
  }

  async writeText(certificate: string): Promise<void> {
    await writeFile(this.certFile, certificate);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}
