import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { codeOf } from '../../src/base/errors.ts'
import { SOURCES } from './sources.ts'

/** A folder with checkouts of the samples' repositories, each under the name that sources.ts gives it. */
const VARIABLE = 'MIGRATE_TEST_SAMPLES'

export type SampleName = keyof typeof SOURCES

/** Where the network isn't there at all, saying so takes no longer than this. */
const PATIENCE_MS = 20_000

/** In the title of a suite that can't run; .ci/run knows it by the variable's name. */
export const SAMPLES_SKIPPED = ` (skipped: it needs the sample databases: set ${VARIABLE} or allow network access to github.com)`

/**
 * The SQL scripts of a sample, in the order to run them: from the folder that MIGRATE_TEST_SAMPLES names, else fetched once over
 * https into the user's cache. `undefined` when neither can be had. Throws when a file isn't the one that was meant.
 */
export async function sample(name: SampleName): Promise<readonly string[] | undefined> {
  const scripts: string[] = []
  const { folder, repository, commit, files } = SOURCES[name]
  const given = process.env[VARIABLE]
  for (const [path, sha256] of Object.entries(files)) {
    const bytes =
      given === undefined
        ? await cached(
            join(cacheFolder(), folder, commit, path),
            `https://raw.githubusercontent.com/${repository}/${commit}/${path}`,
          )
        : await readIfThere(join(given, folder, path))
    if (bytes === undefined) return undefined
    if (createHash('sha256').update(bytes).digest('hex') !== sha256)
      throw new Error(`${path} of ${repository} isn't the file that the suite was written for: check out commit ${commit}.`)
    scripts.push(textOf(bytes))
  }
  return scripts
}

/** A script's text: one that Microsoft's tools wrote may be in UTF-16, and its first bytes say so. */
const textOf = (bytes: Buffer): string =>
  bytes.subarray(0, 2).equals(UTF16_MARK) ? bytes.toString('utf16le', UTF16_MARK.length) : bytes.toString('utf8')
const UTF16_MARK = Buffer.from([0xff, 0xfe])

const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'live-host-migration-samples')

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

let isOffline = false

/** The cached file, else fetched and kept; `undefined` without network. */
async function cached(path: string, url: string): Promise<Buffer | undefined> {
  const there = await readIfThere(path)
  if (there !== undefined) return there
  if (isOffline) return undefined
  let bytes: Buffer
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) })
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
    bytes = Buffer.from(await answer.arrayBuffer())
  } catch {
    // Behind a proxy or without network: that's what the skip says.
    isOffline = true
    return undefined
  }
  await mkdir(dirname(path), { recursive: true })
  const part = `${path}.${process.pid}`
  await writeFile(part, bytes)
  await rename(part, path)
  return bytes
}
