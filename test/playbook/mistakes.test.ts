// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a playbook's own placeholders
import { describe, expect, it } from 'vitest'
import { parsePlaybook } from '../../src/playbook/parse.ts'
import { PlaybookError } from '../../src/playbook/problems.ts'
import { mistakes } from './mistakes.ts'
import { ENV, placesOf, problemsOf, STORY, small } from './shop.ts'

describe.each(mistakes)('a mistake in %s', (_part, cases) => {
  it.each(cases)('%j is answered with %j', (text = '', expected = '', hint = '') => {
    const problems = problemsOf(text, { ...ENV, EMPTY: '' })
    const places = problems.map((problem) => `${problem.line}:${problem.column} ${problem.message}`)
    const at = places.findIndex((place) => place.startsWith(expected))
    expect(places, 'the problem is among them').toContainEqual(expect.stringContaining(expected))
    expect(problems[at]?.hint).toContain(hint)
  })
})

describe('a playbook with many mistakes', () => {
  it('has all of them told at once, in the order of the file', () => {
    // given a mistake in every part of the story's playbook
    const text = STORY.replace('connections: 4', 'conections: 4')
      .replace('sftp://site@new', 'http://site@new')
      .replace('type: CNAME', 'type: CNAM')
      .replace('headroom: 1500', 'headroom: much')
      .replace(' -> ', ' - ')
      .replace('- bump-identities', '- bump-identity')
      .replace('every: 30s', 'every: 30')
    // when it is read without the variable of its token
    const places = placesOf(text, { ...ENV, CLOUDFLARE_API_TOKEN: '' })
    // then each is told at its own place
    expect(places).toEqual([
      '6:3 old has no key "conections".',
      "8:10 new.files has a kind of URL that files can't have.",
      '15:10 The environment variable CLOUDFLARE_API_TOKEN is empty.',
      '19:39 dns.records[1].type must be A, AAAA or CNAME.',
      '21:26 tables.Orders.headroom must be auto or a number.',
      '26:5 This is no reference from one column to another.',
      '32:5 There is no step "bump-identity".',
      '37:65 watch-propagation.every must be a duration such as 30s, 5m or 2h.',
    ])
  })

  it('names file, line and column of each in the message, and ends as wrong usage', () => {
    const read = (): unknown => parsePlaybook(small('tabels: {}\nsit: x'), 'shops/mine.yml', {})
    expect(read).toThrow(PlaybookError)
    expect(read).toThrow(
      /The playbook has 2 mistakes; nothing was touched\.\nshops\/mine\.yml:4:1: .*"tabels".*\n.*"tables".*\nshops\/mine\.yml:5:1: .*"sit"/,
    )
    expect(read).toThrow(expect.objectContaining({ code: 'playbook-invalid', ending: 'usage' }))
  })

  it('has every variable that is missing told, also two in one line', () => {
    expect(placesOf(small('old2: ${ONE}\nsite: https://${TWO}.${THREE}/${TWO}'), {})).toEqual([
      '4:1 A playbook has no key "old2".',
      '4:7 The environment variable ONE is not set.',
      '5:15 The environment variable TWO is not set.',
      '5:22 The environment variable THREE is not set.',
      '5:31 The environment variable TWO is not set.',
    ])
  })
})
