// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a playbook's own placeholders
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { messageOf } from '../../src/base/errors.ts'
import { boundPlaybook, endpoints } from '../../src/playbook/binding.ts'
import { parsePlaybook } from '../../src/playbook/parse.ts'
import { PlaybookError } from '../../src/playbook/problems.ts'

/** Places where a playbook takes a secret, `X` standing for it; written well and written badly. */
const places = [
  'old: { files: "sftp://me:X@h/s" }',
  'old: { files: "ftp://me:X@h/s" }',
  'old: { files: "sftp://me:X@/s" }',
  'old: { files: "sftp://me:X@h:99999/s" }',
  'old: { database: "mssql://me:X@h/s?encript=1" }',
  'old: { database: "oracle://me:X@h/s" }',
  'old: { database: { url: "mssql://me@h/s", password: "X" } }',
  'old: { database: { url: "mssql://me@h/s", pasword: "X" } }',
  'old: { files: { url: "sftp://me@h/s", key: k, passphrase: "X" } }',
  'old: { files: { url: "sftp://me@h/s", key: "-----BEGIN PRIVATE KEY-----X" } }',
  'old: { files: { url: "X", password: "X" } }',
  'old: { site: "https://me:X@h/" }',
  'old: {}\ndns: { provider: cloudflare, zone: a.b, token: "X", records: [{ name: a.b, type: A, to: 192.0.2.1 }] }',
  'old: {}\ndns: { provider: rfc2136, zone: a.b, server: a.b, key: { name: k, secret: "X" }, records: [{ name: a.b, type: A, to: 192.0.2.1 }] }',
  'old: {}\ndns: { provider: rfc2136, zone: a.b, server: a.b, key: "X", records: [{ name: a.b, type: A, to: 192.0.2.1 }] }',
  'old: {}\ndns: { provider: manual, zone: a.b, token: "X", records: [{ name: a.b, type: A, to: "X" }] }',
  'old: {}\nnotify: [{ webhook: "https://hooks.example.com/X" }]',
  'old: {}\nnotify: [{ webhook: "X" }]',
  'old: {}\nnotify: [{ webhook: "https://hooks.example.com/", headers: { authorization: "X" }, on: ["X"] }]',
  'old: {}\nnotify: [{ mail: a@b.example, from: a@b.example, server: "smtp://me:X@h" }]',
  'old: {}\nnotify: [{ mail: "X", from: "X", server: "X", password: "X" }]',
  'old: {}\nnotify: [{ command: "tell X", on: [faild] }, "X", { "X": 1 }]',
  'old: {}\ntables: { A: { conflict: "X" } }',
  'old: {}\nreferences: ["X"]',
  'old: {}\nsteps: [{ run: { on: here, command: "curl -u me:X https://a.example" } }]',
  'old: {}\nsteps: [{ rewrite-config: [{ file: web.config, replace: { "X": "X" } }] }]',
  'old: {}\nsteps: [{ rewrite-config: [{ file: web.config, replace: { "X": 7 } }] }]',
  'old: {}\nsteps: ["X"]',
  'old: {}\nsteps: [{ "X": 1 }]',
  'old: {}\n"X": 1',
]

/** Long and odd enough not to be a word of our own messages by chance. */
const secrets = fc
  .string({ unit: 'grapheme-ascii', minLength: 9, maxLength: 40 })
  .filter((text) => !/[\r\n]/.test(text) && text.trim().length > 8)

/** Everything that could be shown or kept of a playbook, or of what was wrong with it. */
function shown(text: string, env: Readonly<Record<string, string>>): string {
  try {
    const playbook = parsePlaybook(text, 'shop.yml', env)
    // What steps hold in memory is theirs; what is printed or written of the playbook isn't.
    const { steps: _steps, ...rest } = playbook
    return [
      inspect(rest, { depth: 9 }),
      JSON.stringify(rest),
      JSON.stringify(boundPlaybook(playbook)),
      JSON.stringify(endpoints(playbook)),
    ].join('\n')
  } catch (error) {
    if (!(error instanceof PlaybookError)) throw error
    return [messageOf(error), JSON.stringify(error.problems), inspect(error, { depth: 9 })].join('\n')
  }
}

describe('a secret', () => {
  it.each(places)('from a variable is nowhere to be seen in what is told of: %s', (place) => {
    fc.assert(
      fc.property(secrets, (secret) => {
        const text = `name: shop\n${place.replaceAll('X', '${SOME_PASSWORD}')}\nnew: {}\n`
        expect(shown(text, { SOME_PASSWORD: secret })).not.toContain(secret)
      }),
      { numRuns: 40 },
    )
  })

  const letters = fc.stringMatching(/^[a-z]{12,30}$/)
  it.each(places.filter((place) => !/replace|run|"X": 1|\["X"\]|\{ "X"/.test(place)))(
    'written out is not repeated in what is told of: %s',
    (place) => {
      fc.assert(
        fc.property(letters, (secret) => {
          expect(shown(`name: shop\n${place.replaceAll('X', secret)}\nnew: {}\n`, {})).not.toContain(secret)
        }),
        { numRuns: 20 },
      )
    },
  )

  it.each([
    '*hunter2hunter',
    '&hunter2hunter',
    '!hunter2hunter',
    '@hunter2hunter',
    '%hunter2hunter',
    '"hunter2hunter',
    '{hunter2hunter',
    'hunter2: hunter2hunter',
  ])('without quotes that breaks the YAML is not repeated: %s', (value) => {
    expect(shown(`name: shop\nold: {}\nnew: {}\ndns:\n  token: ${value}\n`, {})).not.toContain('hunter2hunter')
  })

  it('is known to the redactor wherever the playbook uses it', () => {
    const text =
      'name: shop\nold: { database: "mssql://me:${A}@h/s" }\nnew: { database: { url: "mssql://me@h/s", password: "${B}" } }\nsteps: [{ run: { on: here, command: "x ${C_TOKEN} ${D}" } }]\n'
    const { redactor } = parsePlaybook(text, 'shop.yml', { A: 'aaaa-1', B: 'bbbb-2', C_TOKEN: 'cccc-3', D: 'dddd-4' })
    expect(redactor.redact('aaaa-1 bbbb-2 cccc-3 dddd-4')).toBe('*** *** *** dddd-4')
  })
})
