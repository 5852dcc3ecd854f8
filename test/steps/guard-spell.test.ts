import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Look, Spell, type SpellRules, type Standing } from '../../src/steps/guard-spell.ts'

const RULES: SpellRules = { looks: 4, afterMs: 120_000, wellMs: 300_000, gapMs: 60_000 }
const EVERY = 15_000

/** `-` failing, `+` well, `?` unknown, one look every 15 s. */
const standings = (looks: string, rules = RULES, every = EVERY): readonly Standing[] => {
  const spell = new Spell(rules)
  return [...looks].map((look, at) => spell.add(at * every, look === '-' ? 'failing' : look === '+' ? 'well' : 'unknown'))
}
const rings = (looks: string, rules?: SpellRules, every?: number): number =>
  standings(looks, rules, every).filter((each) => each.rings).length

describe('a spell of failing', () => {
  it('rings when it has lasted long enough, and not before', () => {
    const seen = standings('+---------')
    expect(seen.map(({ state }) => state)).toEqual(['well', ...Array(8).fill('failing'), 'failed'])
    expect(seen.at(-1)).toMatchObject({ rings: true, lastedMs: 120_000, looks: 9 })
    expect(seen.at(-2)).toMatchObject({ rings: false, leftMs: 15_000, leftLooks: 0 })
  })

  it('needs several looks, however long a single gap was', () => {
    expect(rings('---', { ...RULES, gapMs: 1e9 }, 600_000)).toBe(0)
    expect(rings('----', { ...RULES, gapMs: 1e9 }, 600_000)).toBe(1)
  })

  it('counts no time in which nobody looked: a machine that slept, or a line that was down', () => {
    // Four looks ten minutes apart are worth three minutes of looking.
    expect(standings('---', RULES, 600_000).at(-1)).toMatchObject({ state: 'failing', lastedMs: 120_000, leftLooks: 1 })
    expect(rings('-----???????????????????')).toBe(0)
    // What was seen before counts on; the time out of sight doesn't.
    expect(rings('-----???----')).toBe(0)
    expect(rings('-----???-----')).toBe(1)
  })

  it('does not ring for a host that flaps below the threshold', () => {
    expect(rings('--------+'.repeat(50))).toBe(0)
    expect(rings('-+'.repeat(500))).toBe(0)
  })

  it('rings once for a failure, until the host has been well for long', () => {
    // A hiccup of being well within a failure is none of a new one.
    expect(rings(`${'-'.repeat(20)}${'+'.repeat(10)}${'-'.repeat(20)}`)).toBe(1)
    expect(rings(`${'-'.repeat(20)}${`${'+'.repeat(19)}-`.repeat(20)}`)).toBe(1)
    expect(rings(`${'-'.repeat(20)}${'+'.repeat(21)}${'-'.repeat(20)}`)).toBe(2)
  })
})

const lookOf = fc.constantFrom<Look>('well', 'failing', 'unknown')
const timeline = fc.array(fc.tuple(fc.integer({ min: 0, max: 50_000 }), lookOf), { maxLength: 200 })
const rulesOf = fc
  .record({ looks: fc.integer({ min: 2, max: 6 }), afterMs: fc.integer({ min: 0, max: 90_000 }), more: fc.nat(90_000) })
  .map(({ looks, afterMs, more }): SpellRules => ({ looks, afterMs, wellMs: afterMs + more, gapMs: 60_000 }))

interface Seen {
  readonly at: number
  readonly look: Look
  readonly standing: Standing
}

function watched(rules: SpellRules, steps: readonly (readonly [number, Look])[]): readonly Seen[] {
  const spell = new Spell(rules)
  let at = 0
  return steps.map(([ms, look]) => {
    at += ms
    return { at, look, standing: spell.add(at, look) }
  })
}

/** How long, and at how many looks, the newest uninterrupted stretch of `look` was seen; what is unknown interrupts nothing, and adds nothing. */
function stretch(seen: readonly Seen[], look: Look): { readonly looks: number; readonly ms: number } {
  const from = seen.findLastIndex((each) => each.look !== look && each.look !== 'unknown') + 1
  const part = seen.slice(from)
  const ms = part.reduce((sum, each, index) => {
    const before = part[index - 1]
    return before?.look === look && each.look === look ? sum + each.at - before.at : sum
  }, 0)
  return { looks: part.filter((each) => each.look === look).length, ms }
}

describe('any course of looks', () => {
  it('rings only after a sustained failure, and always after one', () => {
    fc.assert(
      fc.property(rulesOf, timeline, (rules, steps) => {
        const seen = watched(rules, steps)
        for (const [index, { standing }] of seen.entries()) {
          const { looks, ms } = stretch(seen.slice(0, index + 1), 'failing')
          const sustained = looks >= rules.looks && ms >= rules.afterMs
          if (standing.rings) expect(sustained).toBe(true)
          if (sustained) expect(standing.state).toBe('failed')
        }
      }),
      { numRuns: 300 },
    )
  })

  it('never rings twice without a long good spell between', () => {
    fc.assert(
      fc.property(rulesOf, timeline, (rules, steps) => {
        const seen = watched(rules, steps)
        let rung: number | undefined
        for (const [index, { standing }] of seen.entries()) {
          if (!standing.rings) continue
          if (rung !== undefined) {
            const between = seen.slice(rung + 1, index)
            const wasWell = between.some((_, at) => {
              const { looks, ms } = stretch(between.slice(0, at + 1), 'well')
              return looks >= rules.looks && ms >= rules.wellMs
            })
            expect(wasWell).toBe(true)
          }
          rung = index
        }
      }),
      { numRuns: 300 },
    )
  })
})
