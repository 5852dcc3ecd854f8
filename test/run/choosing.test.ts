import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runSequence } from '../../src/run/runner.ts'
import { readEntries } from './entries.ts'
import { putStep, runOver, Shelf, storyOf } from './shelf.ts'

const typesIn = async (directory: string): Promise<readonly string[]> =>
  ((await readEntries(directory)) ?? []).map((entry) => entry.record.type)

describe('a selection', () => {
  it.each([
    [{ only: 'two' }, { b: '1' }],
    [{ from: 'two' }, { b: '1', c: '1' }],
    [{ until: 'two' }, { a: '1', b: '1' }],
    [{ from: 'two', until: 'two' }, { b: '1' }],
  ])('%j runs these steps alone', async (selection, contents) => {
    const shelf = new Shelf()
    const sequence = [
      [putStep(shelf, { id: 'one', puts: { a: '1' } }), putStep(shelf, { id: 'two', puts: { b: '1' } })],
      [putStep(shelf, { id: 'three', puts: { c: '1' } })],
    ]
    const { options } = await runOver(sequence, selection)

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(shelf.contents).toEqual(contents)
  })

  it.each([
    [{ only: 'tow' }, 'step-unknown', 'Did you mean "two"?'],
    [{ from: 'three', until: 'one' }, 'selection-empty', 'Exchange'],
    [{ only: 'one', from: 'two' }, 'selection-contradicts', 'Leave one'],
  ])('%j is a usage error', async (selection, code, hint) => {
    const shelf = new Shelf()
    const sequence = ['one', 'two', 'three'].map((id) => [putStep(shelf, { id, puts: { [id]: '1' } })])
    const { events, options } = await runOver(sequence, selection)

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 2 })
    expect(events.find((event) => event.event === 'failed')).toMatchObject({
      step: null,
      code,
      hint: expect.stringContaining(hint),
    })
    expect(existsSync(options.directory)).toBe(false)
  })
})

describe('a run is bound to its playbook and endpoints', () => {
  it('and stops with every difference shown', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    await runSequence(options)
    shelf.writes.length = 0
    const binding = { playbook: { name: 'shelf', steps: [['one'], ['two']] }, endpoints: { old: 'a', new: 'elsewhere' } }

    expect(await runSequence({ ...options, binding })).toMatchObject({ outcome: 'failed', exit: 2 })

    const failed = events.findLast((event) => event.event === 'failed')
    expect(failed).toMatchObject({ code: 'run-bound-elsewhere' })
    expect(failed?.event === 'failed' ? failed.message.split('\n').slice(1) : []).toEqual([
      '  steps[1]: (absent) → ["two"]',
      '  endpoints.new: "b" → "elsewhere"',
    ])
    expect(shelf.writes).toEqual([])
  })

  it('until a fresh one is begun, which keeps the earlier one aside', async () => {
    const shelf = new Shelf()
    const { options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    const first = await runSequence(options)
    const binding = { playbook: 'another', endpoints: {} }

    const second = await runSequence({ ...options, binding, fresh: true })

    expect(second).toMatchObject({ outcome: 'ok' })
    expect(second.runId).not.toBe(first.runId)
    expect(await readdir(options.directory)).toContain(`earlier-${first.runId}`)
    expect(await typesIn(join(options.directory, `earlier-${first.runId}`))).toContain('change-applied')
  })

  it('and a fresh one after the cutover needs a yes', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'move', phase: 'cutover', puts: { a: '1' } })]])
    await runSequence(options)

    expect(await runSequence({ ...options, fresh: true })).toMatchObject({ exit: 2 })
    expect(storyOf(events)).toContain('failed run fresh-after-cutover')
    expect(await runSequence({ ...options, fresh: true, yes: true })).toMatchObject({ exit: 0 })
  })
})
