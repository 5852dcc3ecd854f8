import { describe, expect, it } from 'vitest'
import { xmlElements } from '../../src/files/config/xml-elements.ts'
import { webConfigRedirect } from '../../src/steps/relay-iis.ts'

const TO = new URL('https://new.shop.example')

const made = (text: string): string => {
  const standing = (bytes: Buffer) => ({
    bytes,
    label: 'the old host',
    entry: { path: 'web.config', kind: 'file', size: bytes.length, mode: 0o644, mtimeSeconds: 0, target: null } as const,
  })
  const once = webConfigRedirect(TO, standing(Buffer.from(text)))
  // Twice is once, what is made can be read, and without our sections it is what it was.
  expect(webConfigRedirect(TO, standing(once)).equals(once)).toBe(true)
  expect(xmlElements(once.toString()).length).toBeGreaterThan(0)
  return once.toString()
}

const RULE = [
  '<!-- BEGIN migrate relay -->',
  '<rule name="migrate relay" stopProcessing="true">',
  '<match url=".*" />',
  '<conditions><add input="{UNENCODED_URL}" pattern="^/\\.well-known/acme-challenge/" negate="true" /></conditions>',
  '<action type="Redirect" url="https://new.shop.example{UNENCODED_URL}" appendQueryString="false" redirectType="Temporary" />',
  '</rule>',
  '<!-- END migrate relay -->',
]

describe('a redirect by web.config', () => {
  it('is the first rule where the site has rules of URL Rewrite, and keeps everything else', () => {
    const text =
      '\ufeff<?xml version="1.0"?>\r\n<configuration>\r\n  <system.webServer>\r\n    <rewrite><rules>\r\n      <rule name="a" /></rules></rewrite>\r\n  </system.webServer>\r\n</configuration>\r\n'
    expect(made(text)).toBe(text.replace('<rules>', `<rules>\r\n${RULE.join('\r\n')}`))
  })

  it('comes after what clears inherited rules, and opens an empty section', () => {
    const cleared =
      '<configuration><system.webServer><rewrite><rules><clear /><rule name="a" /></rules></rewrite></system.webServer></configuration>'
    expect(made(cleared)).toBe(cleared.replace('<clear />', `<clear />\n${RULE.join('\n')}`))
    const empty = '<configuration><system.webServer><rewrite><rules /></rewrite></system.webServer></configuration>'
    expect(made(empty)).toBe(empty.replace('<rules />', `<rules >\n${RULE.join('\n')}</rules>`))
  })

  it('is IIS’s own elsewhere, with ACME’s files left alone', () => {
    const text = made('<configuration>\n<system.webServer><defaultDocument /></system.webServer>\n</configuration>\n')
    expect(text).toContain(
      '<httpRedirect enabled="true" destination="https://new.shop.example" exactDestination="false" httpResponseStatus="Temporary" />',
    )
    expect(text).toMatch(/<location path="\.well-known\/acme-challenge">\n<system\.webServer><httpRedirect enabled="false" \/>/)
    expect(text.endsWith('<defaultDocument /></system.webServer>\n</configuration>\n')).toBe(true)
    expect(made('<configuration />')).toContain('<system.webServer>\n<httpRedirect enabled="true"')
    expect(webConfigRedirect(TO, null).toString()).toContain('<httpRedirect enabled="true"')
  })

  it('is refused where it can’t be put safely', () => {
    const redirects = '<configuration><system.webServer><httpRedirect enabled="true" /></system.webServer></configuration>'
    const elsewhere =
      '<configuration><system.webServer><rewrite><rules configSource="r.config" /></rewrite></system.webServer></configuration>'
    for (const text of [redirects, elsewhere, '<other />'])
      expect(() => made(text)).toThrow(
        expect.objectContaining({
          code: 'relay-web-config',
          message: expect.stringMatching(/web\.config on the old host.*left as it is/),
        }),
      )
    expect(() => made('<configuration>')).toThrow(expect.objectContaining({ code: 'config-unreadable' }))
  })
})
