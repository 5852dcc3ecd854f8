import { Agent } from 'node:https'
import { MigrateError, messageOf } from '../base/errors.ts'

export interface AcmeOptions {
  /** The authority's directory (RFC 8555, 7.1.1). */
  readonly directory: URL
  readonly email: string | undefined
  /** Names that the certificate is for; the first is its common name. */
  readonly names: readonly string[]
  /** PEM; the same one again finds the same account. */
  readonly accountKey: string
  /** PEM of a further authority that the directory's own certificate is signed by. */
  readonly ca?: string | undefined
  /** Shows a proof at a name, and returns once the world's name servers show it. */
  readonly prove: (name: string, text: string) => Promise<void>
}

export interface Obtained {
  /** PEM, the leaf first. */
  readonly chain: string
  /** PEM. */
  readonly key: string
}

/** Makes a new account key, PEM. */
export async function newAccountKey(): Promise<string> {
  const acme = await import('acme-client')
  return (await acme.crypto.createPrivateEcdsaKey()).toString()
}

/**
 * Obtains a certificate by the DNS challenge (RFC 8555, 8.4): no host has to answer for it, and DNS of the site needn't have moved.
 * Proofs that were shown are the caller's to withdraw. Throws MigrateError `certificate-refused`, or what `prove` throws.
 */
export async function obtainCertificate(options: AcmeOptions): Promise<Obtained> {
  const acme = await import('acme-client')
  if (options.ca !== undefined) acme.axios.defaults.httpsAgent = new Agent({ ca: options.ca })
  const [key, csr] = await acme.crypto.createCsr(
    { commonName: options.names[0] ?? '', altNames: [...options.names] },
    await acme.crypto.createPrivateEcdsaKey(),
  )
  const client = new acme.Client({ directoryUrl: options.directory.href, accountKey: options.accountKey })
  const nameOf = (identifier: string): string => `_acme-challenge.${identifier.replace(/^\*\./, '')}`
  try {
    const chain = await client.auto({
      csr,
      ...(options.email === undefined ? {} : { email: options.email }),
      termsOfServiceAgreed: true,
      challengePriority: ['dns-01'],
      // The authority looks by itself; this machine's resolver may be another world.
      skipChallengeVerification: true,
      challengeCreateFn: (authorization, _challenge, text) => options.prove(nameOf(authorization.identifier.value), text),
      // The client would swallow what goes wrong there: whoever keeps the proofs in mind takes them away.
      challengeRemoveFn: () => Promise.resolve(),
    })
    return { chain, key: key.toString() }
  } catch (error) {
    if (error instanceof MigrateError) throw error
    throw new MigrateError(
      'certificate-refused',
      `${options.directory.host} gave no certificate for ${options.names.join(', ')}: ${messageOf(error)}. Nothing was installed.`,
      {
        hint: 'Look at the CAA records and the name servers of the zone, and at the authority’s limits; then run again.',
        cause: error,
      },
    )
  }
}
