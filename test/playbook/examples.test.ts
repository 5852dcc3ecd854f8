import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadPlaybook } from '../../src/playbook/index.ts'
import { playbookJsonSchema, playbookJsonSchemaText } from '../../src/playbook/json-schema.ts'
import { stepKinds } from '../../src/steps/index.ts'

const folder = new URL('../../playbooks/', import.meta.url)
const examples = readdirSync(folder).filter((name) => name.endsWith('.yml'))

/** A value that suits each variable of the examples. */
function valueFor(name: string): string {
  if (name.endsWith('FILES_URL')) return 'sftp://site@host.example/site'
  if (name.endsWith('DATABASE_URL')) return 'mssql://shop@host.example/shop'
  if (name === 'SHOP_ZONE') return 'shop.example'
  if (name === 'OLD_HOST_KEY') return 'A'.repeat(43)
  if (name === 'TSIG_KEY') return 'c2VjcmV0'
  if (name.endsWith('ADDRESS')) return '198.51.100.20'
  if (name.endsWith('SITE') || name.endsWith('API')) return 'https://host.example/'
  return `value of ${name}`
}

describe('the examples', () => {
  it.each(examples)('%s is a playbook without mistakes', async (name) => {
    const path = new URL(name, folder).pathname
    const variables = [...readFileSync(path, 'utf8').matchAll(/\$\{([A-Z_]+)\}/g)].map((match) => match[1] ?? '')
    const playbook = await loadPlaybook(path, Object.fromEntries(variables.map((variable) => [variable, valueFor(variable)])))
    expect(playbook.steps.length).toBeGreaterThan(5)
  })

  it('of the story has every address in a variable, so that it can be pointed at test hosts', () => {
    const text = readFileSync(new URL('story.yml', folder), 'utf8').replaceAll(/(^|\s)#.*$/gm, '')
    expect(text.match(/\w+:\/\/|\d+\.\d+\.\d+\.\d+|\.example\b/g)).toBeNull()
  })

  it.each(examples)('%s tells editors where its schema is', (name) => {
    expect(readFileSync(new URL(name, folder), 'utf8')).toMatch(
      /^# yaml-language-server: \$schema=\.\.\/playbook\.schema\.json\n/,
    )
  })
})

describe('playbook.schema.json', () => {
  it('is current (node scripts/playbook-schema.mjs writes it anew)', () => {
    expect(readFileSync(new URL('../../playbook.schema.json', import.meta.url), 'utf8')).toBe(playbookJsonSchemaText())
  })

  it('completes every kind of step, with what it does', () => {
    const text = JSON.stringify(playbookJsonSchema())
    for (const kind of stepKinds) expect(text).toContain(`"description":${JSON.stringify(kind.summary)}`)
  })
})
