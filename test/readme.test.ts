import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { withReference } from '../scripts/reference-text.ts'
import { loadPlaybook } from '../src/playbook/index.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The README's own words: the reference is made from the schemas. */
const words = readme.replace(/<!-- reference -->[\s\S]*<!-- \/reference -->/, '')

const help = (...command: readonly string[]): string =>
  execFileSync(process.execPath, [join(root, 'bin/migrate.js'), ...command, '--help'], { encoding: 'utf8' })

const blocks = (language: string): readonly string[] =>
  [...words.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, found, text = '']) => (found === language ? [text] : []))

describe('the README', () => {
  it('has a reference that is current (node scripts/reference.mjs writes it anew)', () => {
    expect(withReference(readme)).toBe(readme)
  })

  const offered = new Set([...help().matchAll(/^ {2}([a-z]+) (?:\[|<)/gm)].map((match) => match[1] ?? ''))

  it('names only commands that there are, besides those that it says are missing', () => {
    const [, limits = ''] = words.split('## Limits')
    const inCode = [...words.matchAll(/`migrate ([a-z]+)|^migrate ([a-z]+)/gm)].map((match) => match[1] ?? match[2] ?? '')
    expect(inCode.length).toBeGreaterThan(10)
    const missing = new Set(inCode.filter((name) => !offered.has(name)))
    for (const name of missing) expect(limits, `migrate ${name}`).toContain(`\`migrate ${name}\``)
    for (const name of offered) if (name !== 'help') expect(inCode, 'every command is told of').toContain(name)
  })

  it('names only flags that a command has', () => {
    const known = new Set([...offered].flatMap((name) => (name === 'help' ? [] : flagsOf(help(name)))))
    const ofOthers = ['--omit', '--ignore-scripts', '--global']
    const named = [...words.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag)
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((flag) => !known.has(flag) && !['--help', ...ofOthers].includes(flag))).toEqual([])
  })

  it('shows commands that take the flags they are shown with', () => {
    for (const line of blocks('sh').flatMap((block) => block.split('\n'))) {
      const [, command, rest = ''] = /^migrate ([a-z]+)(.*)$/.exec(line) ?? []
      if (command === undefined) continue
      const flags = flagsOf(help(command))
      for (const [flag] of rest.matchAll(/--[a-z-]+/g)) expect(flags, line).toContain(flag)
    }
  })

  it('names only scripts and files that there are', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    for (const [, name = ''] of words.matchAll(/npm run ([a-z]+)/g)) expect(Object.keys(scripts)).toContain(name)
    for (const [, path = ''] of words.matchAll(/\]\(([^#)]+)\)/g)) expect(() => readFileSync(join(root, path))).not.toThrow()
  })
})

describe('the playbooks in the README', () => {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-readme-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const [whole = '', ...parts] = blocks('yaml')

  it('are one that can be used as it stands, and parts of it', () => {
    expect(parts.length).toBeGreaterThan(0)
  })

  // A part replaces what the whole one has under the same keys.
  it.each([whole, ...parts].map((text, index) => [index + 1, text] as const))(
    'number %i has no mistakes',
    async (index, text) => {
      const playbook = { ...parse(whole), ...parse(text) }
      const path = join(folder, `playbook-${index}.yml`)
      writeFileSync(path, text === whole ? whole : JSON.stringify(playbook))
      const variables = [...text.matchAll(/\$\{([A-Z_]+)\}/g), ...whole.matchAll(/\$\{([A-Z_]+)\}/g)].map(
        (match) => match[1] ?? '',
      )
      const env = Object.fromEntries(
        variables.map((name) => [name, name.endsWith('_KEY') ? 'A'.repeat(name === 'TSIG_KEY' ? 44 : 43) : `value of ${name}`]),
      )
      expect((await loadPlaybook(path, env)).name).toBe('mugs')
    },
  )

  it('leave no example of the repository unmentioned', () => {
    for (const name of readdirSync(join(root, 'playbooks'))) expect(words).toContain(`playbooks/${name}`)
  })
})

const flagsOf = (text: string): readonly string[] =>
  [...text.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1] ?? '')
