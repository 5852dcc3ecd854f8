import { X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { keepWhole } from '../base/disk.ts'
import { codeOf, MigrateError } from '../base/errors.ts'
import type { StepRun } from '../run/step.ts'
import { newAccountKey, obtainCertificate } from '../site/acme.ts'
import type { CertificateChange, CertificateOptions } from './certificate.ts'
import type { StepContext, World } from './world.ts'

export interface KeptCertificate {
  /** PEM. */
  readonly chain: string
  readonly key: string
  readonly chainPath: string
  readonly keyPath: string
}

const folderOf = (run: StepRun): string => join(run.directory, 'certificate')

/** What this run obtained; `undefined` before. */
export async function keptCertificate(run: StepRun): Promise<KeptCertificate | undefined> {
  const [chainPath, keyPath] = [join(folderOf(run), 'chain.pem'), join(folderOf(run), 'key.pem')]
  // The chain is written last: where it is, the key is.
  const chain = await readUnlessMissing(chainPath)
  const key = await readUnlessMissing(keyPath)
  return chain === undefined || key === undefined ? undefined : { chain, key, chainPath, keyPath }
}

/** SHA-256 of the leaf that this run obtained, as a TLS handshake shows it. */
export async function keptFingerprint(run: StepRun): Promise<string | undefined> {
  const kept = await keptCertificate(run)
  return kept === undefined ? undefined : new X509Certificate(kept.chain).fingerprint256
}

async function readUnlessMissing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const PROOFS_KEY = 'certificate/proofs'
const proofsSchema = z.array(z.object({ name: z.string(), text: z.string() }))
type Proof = z.infer<typeof proofsSchema>[number]

const proofsOf = (run: StepRun): readonly Proof[] => proofsSchema.parse(run.recall(PROOFS_KEY) ?? [])

/** Takes away what an earlier try that was cut off left in the zone. */
export async function withdrawProofs({ dns }: World, run: StepRun): Promise<void> {
  for (const { name, text } of proofsOf(run)) await dns?.provider.texts?.remove(name, text)
  if (proofsOf(run).length > 0) await run.remember(PROOFS_KEY, [])
}

export async function obtainAndKeep(
  options: CertificateOptions,
  { world, playbookDirectory }: StepContext,
  { certificate: names }: CertificateChange,
  run: StepRun,
): Promise<KeptCertificate> {
  const texts = world.dns?.provider.texts
  if (texts === undefined)
    throw new MigrateError('fault', 'A certificate was to be obtained without a zone. This is a fault in migrate.')
  const folder = folderOf(run)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const accountPath = join(folder, 'account.pem')
  let accountKey = await readUnlessMissing(accountPath)
  if (accountKey === undefined) {
    accountKey = await newAccountKey()
    await keepWhole(accountPath, accountKey)
  }
  // The client shows the proofs of several names at once; the list of them is kept by one after the other.
  let before: Promise<void> = Promise.resolve()
  const asked = {
    directory: new URL(options.directory),
    email: options.email,
    names,
    accountKey,
    ca: options.ca === undefined ? undefined : await readFile(resolve(playbookDirectory, options.ca), 'utf8'),
    prove: async (name: string, text: string): Promise<void> => {
      before = before.then(async () => {
        // Remembered first: whatever cuts this off, the record is taken away again.
        await run.remember(PROOFS_KEY, [...proofsOf(run), { name, text }])
        await texts.add(name, text, run.signal)
      })
      await before
      await untilShown(world, name, text, run)
    },
  }
  const { chain, key } = await obtainCertificate(asked).catch(async (error: unknown) => {
    // What can't be taken away now is remembered, and taken away before the next try.
    await withdrawProofs(world, run).catch(() => undefined)
    throw error
  })
  await keepWhole(join(folder, 'key.pem'), key)
  await keepWhole(join(folder, 'chain.pem'), chain)
  await withdrawProofs(world, run)
  const kept = await keptCertificate(run)
  if (kept === undefined) throw new MigrateError('fault', 'A certificate that was just kept is gone. This is a fault in migrate.')
  return kept
}

const LONGEST_MS = 120_000
const LOOK_EVERY_MS = 1000

/** The authority asks any of the zone's name servers: all of them must show the proof. */
async function untilShown({ dns }: World, name: string, text: string, run: StepRun): Promise<void> {
  const servers = (await dns?.authoritative()) ?? []
  const end = run.clock.monotonic() + LONGEST_MS
  for (;;) {
    const answers = await Promise.all(servers.map((server) => server.query(name, 'TXT', run.signal)))
    const lagging = servers.filter((_server, index) => answers[index]?.records.every((record) => record.content !== text) ?? true)
    if (lagging.length === 0) return
    if (run.clock.monotonic() >= end) {
      throw new MigrateError(
        'certificate-proof-unseen',
        `The TXT record at ${name} isn't shown by ${lagging.map((server) => server.label).join(', ')} after two minutes. It is taken away again; nothing else was changed.`,
        { hint: 'Does the zone live at this provider? See the findings of cutover-dns; then run again.' },
      )
    }
    await run.clock.sleep(LOOK_EVERY_MS, run.signal)
  }
}
