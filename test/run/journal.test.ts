import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { JOURNAL_NAME, openJournal, readJournal } from '../../src/run/journal.ts'
import type { JournalRecord } from '../../src/run/records.ts'
import { runSequence } from '../../src/run/runner.ts'
import { FakeClock } from '../fakes/clock.ts'
import { readEntries } from './entries.ts'
import { emptyFolder, putStep, runOver, Shelf, storyOf } from './shelf.ts'

const held = { number: 1, assertHeld: async () => undefined }

async function written(records: readonly JournalRecord[]): Promise<string> {
  const directory = await emptyFolder()
  const journal = await openJournal({ directory, clock: new FakeClock(), fence: held }, undefined)
  await Promise.all(records.map((record) => journal.append(record)))
  await journal.close()
  return directory
}

const facts = (...values: readonly string[]): readonly JournalRecord[] =>
  values.map((value) => ({ type: 'fact', key: 'word', value }))

const wordsIn = async (directory: string): Promise<readonly unknown[]> =>
  ((await readEntries(directory)) ?? []).map(({ record }) => (record.type === 'fact' ? record.value : record.type))

describe('the journal', () => {
  it('gives back what was written, in order, whatever it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue()), async (values) => {
        const records = values.map(
          (value): JournalRecord => ({ type: 'fact', key: 'any', value: JSON.parse(JSON.stringify(value)) }),
        )
        const entries = (await readEntries(await written(records))) ?? []
        expect(entries.map((entry) => entry.record)).toEqual(records)
        expect(entries.map((entry) => entry.n)).toEqual(records.map((_, index) => index + 1))
      }),
      { numRuns: 25 },
    )
  })

  it('reads lines that hold line separators, and lines longer than a read', async () => {
    const words = ['a\u2028b\u2029c\r\nd', 'ä'.repeat(200_000), 'end']

    expect(await wordsIn(await written(facts(...words)))).toEqual(words)
  })

  it('is not there before the first run', async () => {
    expect(await readJournal(await emptyFolder(), () => undefined)).toBeUndefined()
  })

  it('cut off at any byte loses at most the line that was cut, and says so', async () => {
    const directory = await written(facts('one', 'two', 'three'))
    const path = join(directory, JOURNAL_NAME)
    const whole = await readFile(path)
    const ends = [0, ...[...whole].flatMap((byte, index) => (byte === 0x0a ? [index + 1] : []))]
    for (let length = whole.length; length >= 0; length -= 1) {
      await writeFile(path, whole.subarray(0, length))
      const complete = ends.filter((end) => end <= length)
      let count = 0
      const end = await readJournal(directory, () => {
        count += 1
      })
      expect(count, `cut at ${length}`).toBe(complete.length - 1)
      expect(end?.bytes).toBe(complete.at(-1))
      expect(end?.tornBytes).toBe(length - (complete.at(-1) ?? 0))
    }
  })

  it('with any byte altered is found damaged, never misread', async () => {
    const directory = await written(facts('one', 'zwei – two', 'three'))
    const path = join(directory, JOURNAL_NAME)
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at += 1) {
      const altered = Buffer.from(whole)
      altered[at] = (altered[at] ?? 0) ^ 0x01
      await writeFile(path, altered)
      const line = whole.subarray(0, at).filter((byte) => byte === 0x0a).length + 1
      await expect(wordsIn(directory), `byte ${at}`).rejects.toMatchObject({
        code: 'journal-damaged',
        message: expect.stringContaining(`Line ${line} `),
        hint: expect.any(String),
      })
    }
  })

  it('with a line lost, doubled or moved is found damaged', async () => {
    const directory = await written(facts('one', 'two', 'three', 'four'))
    const path = join(directory, JOURNAL_NAME)
    const [one, two, three, four] = (await readFile(path, 'utf8')).split('\n')
    for (const lines of [
      [two, three, four],
      [one, three, four],
      [one, two, two, three, four],
      [one, three, two, four],
    ]) {
      await writeFile(path, `${lines.join('\n')}\n`)
      await expect(wordsIn(directory)).rejects.toMatchObject({ code: 'journal-damaged' })
    }
  })

  it('takes a last line of zeros, as a crash of the machine leaves it, for cut off', async () => {
    const directory = await written(facts('one', 'two'))
    const path = join(directory, JOURNAL_NAME)
    await truncate(path, (await readFile(path)).length + 4096)

    expect(await wordsIn(directory)).toEqual(['one', 'two'])
  })

  it('goes on after a cut, the torn bytes gone for good', async () => {
    const directory = await written(facts('one', 'two'))
    const path = join(directory, JOURNAL_NAME)
    await truncate(path, (await readFile(path)).length - 5)
    const end = await readJournal(directory, () => undefined)

    const journal = await openJournal({ directory, clock: new FakeClock(), fence: held }, end)
    await journal.append({ type: 'fact', key: 'word', value: 'again' })
    await journal.close()

    expect(await wordsIn(directory)).toEqual(['one', 'again'])
  })

  it('refuses a line once the lock is lost, and every line after it', async () => {
    const directory = await emptyFolder()
    let lost = false
    const fence = {
      number: 1,
      assertHeld: async () => {
        if (lost) throw new MigrateError('run-lock-lost', 'lost')
      },
    }
    const journal = await openJournal({ directory, clock: new FakeClock(), fence }, undefined)
    await journal.append({ type: 'fact', key: 'word', value: 'mine' })
    lost = true
    await expect(journal.append({ type: 'fact', key: 'word', value: 'stolen' })).rejects.toMatchObject({ code: 'run-lock-lost' })
    lost = false
    await expect(journal.append({ type: 'fact', key: 'word', value: 'late' })).rejects.toMatchObject({ code: 'run-lock-lost' })
    await journal.close()

    expect(await wordsIn(directory)).toEqual(['mine'])
  })
})

describe('a run over a journal', () => {
  it('whose end was torn goes on, and tells of it', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    await runSequence(options)
    const path = join(options.directory, JOURNAL_NAME)
    await truncate(path, (await readFile(path)).length - 20)
    events.length = 0

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(storyOf(events)).toContain('info journal-tail-cut')
  })

  it('that is damaged changes nothing; a fresh one needs a yes and keeps the damaged journal', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    await runSequence(options)
    const path = join(options.directory, JOURNAL_NAME)
    await writeFile(path, (await readFile(path, 'utf8')).replace('run-started', 'run-stopped'))
    shelf.values.clear()

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(storyOf(events)).toContain('failed run journal-damaged')
    expect(await runSequence({ ...options, fresh: true })).toMatchObject({ outcome: 'failed', exit: 2 })
    expect(shelf.contents).toEqual({})
    expect(await runSequence({ ...options, fresh: true, yes: true })).toMatchObject({ outcome: 'ok' })
    expect(await readFile(join(options.directory, 'earlier-damaged', JOURNAL_NAME), 'utf8')).toContain('run-stopped')
  })
})
