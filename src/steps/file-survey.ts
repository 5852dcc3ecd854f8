import type { Finding } from '../base/errors.ts'
import { andMore, formatBytes, formatCount } from '../base/units.ts'
import { nameOf, targetStaysInside } from '../files/paths.ts'
import type { FileEntry, FileHost, FilePowers } from '../files/port.ts'
import { isRaw, shownPath } from '../files/raw-names.ts'
import { refusedByWindows } from '../files/windows-names.ts'
import { SameNames } from './same-names.ts'

/** Of paths that share a fault, so many are named. */
const NAMED = 5

/**
 * Looks through what is to be copied of the old host's files and says what of it the new host can't hold: for want of room, or because it
 * can't name them. And what both hosts can't do.
 */
export async function surveyFiles(
  old: FileHost,
  target: FileHost,
  entries: AsyncIterable<FileEntry>,
): Promise<readonly Finding[]> {
  const [source, powers] = [await old.powers(), await target.powers()]
  const survey = new Survey(powers)
  try {
    for await (const entry of entries) survey.add(entry)
  } finally {
    survey.close()
  }
  const room = { bytes: await target.freeBytes(), files: await target.freeFiles() }
  return [
    ...survey.findings(target.label),
    ...roomFindings(target.label, survey, room),
    ...sourceFindings(old.label, source),
    ...targetFindings(target.label, powers),
  ]
}

class Survey {
  files = 0
  entries = 0
  bytes = 0
  readonly #powers: FilePowers
  readonly #names: SameNames
  readonly #raw = new Some()
  readonly #notOnWindows = new Some()
  readonly #lineBreaks = new Some()
  readonly #links = new Some()
  readonly #pairs = new Some()

  constructor(powers: FilePowers) {
    this.#powers = powers
    // Windows folds case and nothing else; elsewhere what folds case (APFS, HFS+), or has no names but Unicode's, takes every way to write an accent for the same.
    const same = { composes: powers.names !== 'windows', folds: powers.foldsCase !== false }
    this.#names = new SameNames(same, (both) => this.#pairs.add(both))
  }

  add(entry: FileEntry): void {
    if (entry.kind === 'other') return
    this.entries += 1
    if (entry.kind === 'file') this.files += 1
    this.bytes += entry.size
    this.#judgeName(entry.path)
    if (!this.#powers.lineBreaks && /[\r\n\u{10feff}]/u.test(nameOf(entry.path)))
      this.#lineBreaks.add(shownPath(JSON.stringify(entry.path)))
    const isCopied = entry.kind === 'link' && targetStaysInside(entry.path, entry.target ?? '', null)
    if (!this.#powers.links && isCopied) this.#links.add(shownPath(entry.path))
    if (this.#powers.foldsCase !== false || this.#powers.names === 'unicode') this.#names.add(entry.path)
  }

  close(): void {
    this.#names.close()
  }

  #judgeName(path: string): void {
    const { names } = this.#powers
    if (names === 'bytes') return
    if (isRaw(nameOf(path))) this.#raw.add(shownPath(path))
    const reason = names === 'windows' ? refusedByWindows(nameOf(path)) : undefined
    if (reason !== undefined) this.#notOnWindows.add(`${shownPath(JSON.stringify(path))} (${reason})`)
  }

  findings(label: string): readonly Finding[] {
    const { foldsCase, names } = this.#powers
    const folds = foldsCase === true || (foldsCase === false && names === 'unicode')
    return [
      ...faults(this.#raw, {
        code: 'file-name-not-utf8',
        message: (which, count) => `${count} have names that aren’t UTF-8, which ${label} can’t hold: ${which}.`,
        hint: 'Rename them on the old host (and where the site refers to them), or exclude them in the playbook (? stands for such a byte).',
      }),
      ...faults(this.#notOnWindows, {
        code: 'file-name-not-windows',
        message: (which, count) => `${count} have names that Windows doesn’t take, as on ${label}: ${which}.`,
        hint: 'Rename them on the old host (and where the site refers to them), or exclude them in the playbook.',
      }),
      ...faults(this.#lineBreaks, {
        code: 'file-name-line-break',
        message: (which, count) =>
          `${count} have names with a line break or the byte 0xFF, which FTP can’t give to ${label}: ${which}.`,
        hint: 'Rename or exclude them, or reach the new host over SFTP.',
      }),
      ...faults(this.#links, {
        code: 'files-no-links',
        message: (which, count) => `${count} are links, which ${label} can’t make over FTP: ${which}.`,
        hint: 'Exclude them and make them by hand, or reach the new host over SFTP.',
      }),
      ...faults(this.#pairs, {
        code: 'file-names-differ-in-case',
        severity: folds ? 'error' : 'warning',
        message: (which, count) =>
          `${count} would be one on ${label}, which ${folds ? 'takes' : 'may take'} names that differ in case alone, or in how an accent is written, for the same: ${which}.`,
        hint: 'Rename one of each two on the old host, or exclude it in the playbook.',
      }),
    ]
  }
}

/** Counts, and keeps the first few for people. */
class Some {
  count = 0
  readonly #first: string[] = []

  add(text: string): void {
    this.count += 1
    if (this.#first.length < NAMED) this.#first.push(text)
  }

  toString(): string {
    return andMore(this.#first, this.count)
  }
}

interface Fault {
  readonly code: string
  readonly severity?: 'error' | 'warning'
  message(which: string, count: string): string
  readonly hint: string
}

function faults(some: Some, { code, severity = 'error', message, hint }: Fault): readonly Finding[] {
  if (some.count === 0) return []
  const count = some.count === 1 ? '1 file' : `${formatCount(some.count)} files`
  return [{ severity, code, message: message(`${some}`, count), hint }]
}

function roomFindings(
  label: string,
  { bytes, entries }: Survey,
  room: { readonly bytes: number | null; readonly files: number | null },
): readonly Finding[] {
  const full = (message: string): Finding => ({
    severity: 'error',
    code: 'files-disk-full',
    message,
    hint: 'Free space or raise the quota on the new host before the run.',
  })
  return [
    ...(room.bytes !== null && bytes > room.bytes
      ? [full(`The files need ${formatBytes(bytes)}, and ${label} has ${formatBytes(room.bytes)} free.`)]
      : []),
    ...(room.files !== null && entries > room.files
      ? [
          full(
            `There are ${formatCount(entries)} files and folders, and ${label} has room for ${formatCount(room.files)} more (inodes).`,
          ),
        ]
      : []),
  ]
}

/** What the old host lacks, and what follows from it. */
function sourceFindings(label: string, powers: FilePowers): readonly Finding[] {
  const found: Finding[] = []
  if (!powers.sealed && powers.hash === null)
    found.push({
      severity: 'warning',
      code: 'files-unproven',
      message: `${label} neither encrypts nor hashes its files: a byte changed on the way here would not be noticed.`,
      hint: 'Write ftps:// or sftp:// in the playbook if that host can.',
    })
  if (!powers.offsets)
    found.push(
      lack('files-begin-anew', `${label} can't begin in the middle of a file: a large one that breaks off is fetched anew.`),
    )
  if (powers.timeSeconds > 1)
    found.push(
      lack(
        'files-times-rough',
        `${label} tells a file's time to ${powers.timeSeconds} seconds at best: one that changes twice within them and keeps its length looks the same.`,
      ),
    )
  return found
}

/** What the new host can't do, and what follows from it. */
function targetFindings(label: string, powers: FilePowers): readonly Finding[] {
  const found: Finding[] = []
  if (!powers.freeSpace) found.push(lack('files-room-unknown', `${label} doesn't say how much room it has.`))
  if (!powers.modes) found.push(lack('files-no-modes', `${label} takes no modes: its files get those that it gives by itself.`))
  if (!powers.times)
    found.push(
      lack('files-no-times', `${label} takes no times: its files get the time of their arrival, and changes are told by size.`),
    )
  if (!powers.atomicReplace)
    found.push(
      lack(
        'files-replaced-in-two-steps',
        `${label} can't replace a file in one step: for an instant there is none under the name.`,
      ),
    )
  if (powers.flushes !== 'all')
    found.push(
      lack(
        'files-unflushed',
        `${label} takes no order to bring ${powers.flushes === 'large' ? 'many small files' : 'files'} to its disk: that happens by itself, as a rule within a minute of their arrival, and a power cut there before it could take them.`,
      ),
    )
  const copies = powers.copies ? ' It can also copy files within itself (copy-data), which nothing here needs.' : ''
  found.push(
    powers.hash === null
      ? lack('files-read-back', `${label} can't hash its files: they are read back when they are verified.${copies}`)
      : lack('files-hashed-there', `${label} hashes its files itself (${powers.hash}) when they are verified.${copies}`),
  )
  return found
}

const lack = (code: string, message: string): Finding => ({ severity: 'info', code, message })
