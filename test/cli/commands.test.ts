import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { playbookWords, withCommands } from '../../src/base/commands.ts'
import { speakingOf } from '../../src/cli/display/commands.ts'
import type { Display } from '../../src/cli/display/display.ts'
import type { EventBody } from '../../src/run/events.ts'

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url))

describe('commands in messages', () => {
  it('name the playbook as the person did, and where its run is kept', () => {
    const hint = 'Say  migrate reconcile PLAYBOOK --resolve, or  migrate rollback PLAYBOOK.'
    expect(withCommands(hint, playbookWords('shops/mugs.yml', { state: '/var/runs' }))).toBe(
      'Say  migrate reconcile shops/mugs.yml --state /var/runs --resolve, or  migrate rollback shops/mugs.yml --state /var/runs.',
    )
  })

  it('are quoted for the shell where a name needs it', () => {
    expect(playbookWords("my shop's.yml", {})).toBe(`'my shop'\\''s.yml'`)
    expect(playbookWords('~/mugs.yml', {})).toBe('~/mugs.yml')
  })

  const listening = (): { readonly heard: unknown[]; readonly speaking: Display } => {
    const heard: unknown[] = []
    const display: Display = {
      begin: ({ playbook }) => void heard.push(playbook),
      checking: (what) => void heard.push(what),
      sink: (event) => void heard.push(event),
      tell: (event, text) => void heard.push(event, text),
      notice: (text) => void heard.push(text),
      ask: async (question, hint) => {
        heard.push(question, hint)
        return true
      },
      close: async () => undefined,
    }
    return { heard, speaking: speakingOf('mugs.yml', display) }
  }

  it('are told so by every way of showing', async () => {
    const { heard, speaking } = listening()
    const hint = 'Run  migrate run PLAYBOOK  again.'
    const said = 'Run  migrate run mugs.yml  again.'
    const problems = [{ message: 'No name.', hint }]
    speaking.begin({ name: 'mugs', playbook: 'elsewhere', sequence: [] })
    speaking.sink({ time: '', run: 'r', step: null, event: 'finding', severity: 'error', code: 'x', message: 'PLAYBOOK', hint })
    speaking.tell({ time: '', run: null, step: null, event: 'report', markdown: hint }, hint)
    speaking.tell({ time: '', run: null, step: null, event: 'status', status: { failure: { hint } }, problems }, '')
    speaking.notice(hint)
    await speaking.ask?.('Go on?', hint)
    expect(heard).toEqual([
      'mugs.yml',
      expect.objectContaining({ message: 'PLAYBOOK', hint: said }),
      expect.objectContaining({ markdown: said }),
      said,
      expect.objectContaining({ status: { failure: { hint: said } }, problems: [{ message: 'No name.', hint: said }] }),
      '',
      said,
      'Go on?',
      said,
    ])
  })

  it('are left alone in data: a file, a table or what a customer wrote may be called so', () => {
    const { heard, speaking } = listening()
    const name = 'migrate run PLAYBOOK'
    const counts = { inserted: 1, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
    const bodies: readonly EventBody[] = [
      { event: 'change', phase: 'planned', summary: `put ${name}`, undoable: true, change: { paths: [name], message: name } },
      { event: 'progress', done: 1, total: 2, unit: 'files', item: name },
      {
        event: 'reconciled',
        pass: 1,
        tables: { [name]: counts },
        headroom: [],
        proof: { rows: 1, accounted: 1, unaccounted: 0 },
      },
    ]
    const events = bodies.map((body) => ({ time: '', run: 'r', step: 'carry-files', ...body }))
    for (const event of events) speaking.sink(event)
    const lookup = { time: '', run: 'r', step: null, event: 'lookup', table: name, rows: [{ oldKey: name }] } as const
    speaking.tell(lookup, '')
    expect(heard).toEqual([...events, lookup, ''])
  })

  it('can be typed as they stand in every hint of the program', () => {
    const bare = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
      // These two hold what a playbook says, not what a command does.
      .filter((path) => path.endsWith('.ts') && !/playbook\/(schema|draft)\.ts$/.test(path))
      .flatMap((path) => readFileSync(join(SOURCE, path), 'utf8').split('\n'))
      .filter((line) => /^\s*(hint:|\{ hint:|['"`])/.test(line))
      .filter((line) =>
        /\bmigrate (check|run|rehearse|watch|reconcile|rollback|status|report)\b(?! (PLAYBOOK|shop\.yml|\$\{))/.test(line),
      )
    expect(bare).toEqual([])
  })
})
