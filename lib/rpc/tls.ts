/** TLS material for gRPC servers and clients, replaceable while they run (certificates live 24 h). */
import { type ChannelCredentials, credentials, experimental, type ServerCredentials } from '@grpc/grpc-js';

export interface TlsMaterial {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];

/** Gives grpc-js the newest material; `replace` reaches every later handshake, open connections stay. */
export class ReloadableTls implements experimental.CertificateProvider {
  #material: TlsMaterial;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #followers = new Set<(material: TlsMaterial) => void>();

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  replace(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#caListeners) this.#tellCa(listener);
    for (const listener of this.#identityListeners) this.#tellIdentity(listener);
    for (const follower of this.#followers) follower(material);
  }

  /** For a copy in another thread. Answers how to end this. */
  onReplace(follower: (material: TlsMaterial) => void): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    process.nextTick(() => this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  #tellCa(listener: CaListener): void {
    listener({ caCertificate: Buffer.from(this.#material.caPem) });
  }

  #tellIdentity(listener: IdentityListener): void {
    listener({ certificate: Buffer.from(this.#material.certPem), privateKey: Buffer.from(this.#material.keyPem) });
  }
}

export function serverCredentials(tls: ReloadableTls, requireClientCertificate: boolean): ServerCredentials {
  // The first one gives the server its identity, the second one says whose certificates clients may show.
  return experimental.createCertificateProviderServerCredentials(
    tls,
    requireClientCertificate ? tls : null,
    requireClientCertificate,
  );
}

export function clientCredentials(tls: { caPem: string } | ReloadableTls): ChannelCredentials {
  return tls instanceof ReloadableTls
    ? experimental.createCertificateProviderChannelCredentials(tls, tls)
    : credentials.createSsl(Buffer.from(tls.caPem));
}
