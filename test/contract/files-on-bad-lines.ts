import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { FaultProxy } from '../servers/fault-proxy.ts'
import type { Case, FilesUnderTest } from './files-kit.ts'
import { contents, listing } from './files-reading.ts'
import { Witness } from './files-witness.ts'
import { boundary, writing } from './files-writing.ts'

/** What a line is like, and which cases of the contract go over it, by the beginnings of their titles. */
interface BadLine {
  readonly title: string
  readonly cases: readonly string[]
  /** Another line for each number. */
  spoil(on: OnALine, number: number): void
  /** What is to have happened in all cases together, or none of them was a test. */
  readonly happened: (sum: Happened) => void
}

interface Happened {
  readonly resets: number
  readonly flips: number
  /** Calls that failed by name, and wrong bytes that the host's own hash told of. */
  readonly failures: number
  readonly noticed: number
}

/** Those that move contents and listings both ways. */
const MOVING = ['reads from the start', 'writes a file with its mode', 'replaces a file', 'overwrites what an earlier try left']
/** What moves most, and takes longest where every file and folder costs a handshake. */
const MANY = 'writes hundreds of small files'
const THOUSAND = 'lists a thousand files'

const LONG_AND_NARROW: BadLine = {
  title: 'a long and narrow line',
  cases: [
    ...MOVING,
    'reads every size',
    'lists everything',
    'tells kind, size, mode',
    'lists what lies below one folder',
    'says that a file is missing',
    'keeps the old content',
    'looks once more before it replaces',
    'refuses a way through a link',
  ],
  spoil: ({ proxy }) => proxy.narrow({ delayMs: 2, bytesPerSecond: 4_000_000 }),
  happened: ({ failures }) => expect(failures).toBe(0),
}

const BREAKING: BadLine = {
  title: 'a line that breaks again and again',
  cases: [...MOVING, MANY, THOUSAND, 'lists everything'],
  spoil: ({ proxy }, number) => proxy.storm(11 + number, { cut: [6000, 1_000_000] }),
  happened: ({ resets, failures }) => {
    expect(resets).toBeGreaterThan(1)
    expect(failures).toBeGreaterThan(0)
  },
}

const CHANGING: BadLine = {
  title: 'a line that turns bits over',
  cases: [...MOVING, MANY, 'lists everything'],
  // Where one breaks the line, nothing would ever come through if there were many.
  spoil: ({ proxy, sealed }, number) => proxy.storm(13 + number, { flip: [1000, sealed ? 1_000_000 : 50_000] }),
  happened: ({ flips, failures, noticed }) => {
    expect(flips).toBeGreaterThan(1)
    expect(failures + noticed).toBeGreaterThan(0)
  },
}

/** What a host behind a proxy is. */
export interface OnALine extends FilesUnderTest {
  readonly proxy: FaultProxy
  /** SSH or TLS. */
  readonly sealed: boolean
}

/**
 * Cases of the contract over lines as networks are: long and narrow; cut at places by chance; with bits turned over by chance. What is
 * promised at the end of every case: a call either fails by a name of files/port.ts, or the bytes are right; and of bytes that are not, on
 * FTP in the clear where nothing else protects them, the host's own hash or a second reading tells, which the steps ask before they call
 * anything right. On SSH and TLS a turned bit breaks the connection, and nothing wrong is ever given.
 *
 * Not every case is run with every fault, for time: those are chosen that move bytes, names or listings; cases that make faults of their own
 * (test/contract/files-faults.ts, files-failures.ts) and those about paths alone are left out, and where every file costs a handshake
 * (`isCostly`), so are the two with the most of them. A call that fails by name is tried again, as the runner or a person does.
 */
export function filesOnBadLines(name: string, start: () => Promise<OnALine>, isCostly = false): void {
  for (const line of [LONG_AND_NARROW, BREAKING, CHANGING]) {
    const cases = line.cases.filter((beginning) => !isCostly || (beginning !== MANY && beginning !== THOUSAND))
    describe(`files over ${line.title}: ${name}`, () => overLine({ ...line, cases }, start))
  }
}

function overLine(line: BadLine, start: () => Promise<OnALine>): void {
  let number = 0
  const sum = { resets: 0, flips: 0, failures: 0, noticed: 0 }
  let on: OnALine
  let witness: Witness
  beforeEach(async () => {
    on = await start()
    witness = new Witness(on.host, on.truth)
  })
  afterEach(() => on.stop())
  const use = (): FilesUnderTest => ({ ...on, host: witness.host })

  const some: Case = (title, run) => {
    if (!line.cases.some((beginning) => title.startsWith(beginning))) return
    it(title, async (context) => {
      number += 1
      line.spoil(on, number)
      try {
        await run(context)
      } catch (error) {
        if (on.proxy.corrupted === 0 || on.sealed || !isNamed(error)) throw error
      } finally {
        on.proxy.mend()
      }
      await witness.borneOut()
      const { resets, corrupted } = on.proxy
      sum.resets += resets
      sum.flips += corrupted
      sum.failures += witness.failures
      sum.noticed += witness.noticed
    })
  }
  for (const cases of [listing, contents, writing, boundary]) cases(use, some)
  it('has been as bad as that', () => line.happened(sum))
}

/** A case expects right bytes and names, which nobody promises on a line that changes them unseen; what fails there, has to fail by name. */
const isNamed = (error: unknown): boolean =>
  error instanceof MigrateError || (error instanceof Error && error.name === 'AssertionError')
