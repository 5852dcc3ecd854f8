import { describe, expect, test } from 'vitest'
import { checkSpf } from '../../src/mail/spf.ts'
import { expandMacros } from '../../src/mail/spf-macros.ts'
import { zoneLookup } from './zone.ts'

/** The zone of RFC 7208, appendix A, without its SPF records. */
const ZONE = [
  'example.com A 192.0.2.10',
  'example.com A 192.0.2.11',
  'example.com MX 10 mail-a.example.com',
  'example.com MX 20 mail-b.example.com',
  'amy.example.com A 192.0.2.65',
  'bob.example.com A 192.0.2.66',
  'mail-a.example.com A 192.0.2.129',
  'mail-b.example.com A 192.0.2.130',
  'mail-c.example.org A 192.0.2.140',
  'example.org MX 10 mail-c.example.org',
  '10.2.0.192.in-addr.arpa PTR example.com',
  '65.2.0.192.in-addr.arpa PTR amy.example.com',
  '4.0.0.10.in-addr.arpa PTR bob.example.com',
]

const verdict = (record: string, address: string, more: readonly string[] = []) =>
  checkSpf(address, 'orders@example.com', zoneLookup([...ZONE, ...more, `example.com TXT ${record}`]))

describe('SPF, with the examples of RFC 7208, appendix A', () => {
  test.each([
    ['v=spf1 +all', '203.0.113.1', 'pass'],
    ['v=spf1 a -all', '192.0.2.10', 'pass'],
    ['v=spf1 a -all', '192.0.2.65', 'fail'],
    ['v=spf1 a:example.org -all', '192.0.2.10', 'fail'],
    ['v=spf1 mx -all', '192.0.2.129', 'pass'],
    ['v=spf1 mx -all', '192.0.2.140', 'fail'],
    ['v=spf1 mx:example.org -all', '192.0.2.140', 'pass'],
    ['v=spf1 mx mx:example.org -all', '192.0.2.130', 'pass'],
    ['v=spf1 mx/30 mx:example.org/30 -all', '192.0.2.131', 'pass'],
    ['v=spf1 mx/30 mx:example.org/30 -all', '192.0.2.143', 'pass'],
    ['v=spf1 mx/30 -all', '192.0.2.132', 'fail'],
    ['v=spf1 ptr -all', '192.0.2.10', 'pass'],
    ['v=spf1 ptr -all', '192.0.2.65', 'pass'],
    // Its name leads elsewhere.
    ['v=spf1 ptr -all', '10.0.0.4', 'fail'],
    ['v=spf1 ip4:192.0.2.128/28 -all', '192.0.2.140', 'pass'],
    ['v=spf1 ip4:192.0.2.128/28 -all', '192.0.2.65', 'fail'],
    ['v=spf1 ip6:2001:db8::/32 ~all', '2001:db8::25', 'pass'],
    ['v=spf1 ip6:2001:db8::/32 ~all', '192.0.2.65', 'softfail'],
    ['v=spf1 ip4:192.0.2.0/24', '203.0.113.1', 'neutral'],
    ['v=spf1 ?all', '203.0.113.1', 'neutral'],
  ])('%s: %s → %s', async (record, address, result) => {
    expect((await verdict(record, address)).result).toBe(result)
  })

  test('an included record counts only when it passes', async () => {
    const included = ['mailer.example TXT v=spf1 ip4:198.51.100.0/24 -all']
    expect(await verdict('v=spf1 include:mailer.example ~all', '198.51.100.7', included)).toMatchObject({
      result: 'pass',
      why: 'include:mailer.example',
      record: 'v=spf1 include:mailer.example ~all',
    })
    expect((await verdict('v=spf1 include:mailer.example ~all', '192.0.2.1', included)).result).toBe('softfail')
    expect((await verdict('v=spf1 include:nobody.example ~all', '192.0.2.1')).result).toBe('permerror')
  })

  test('redirect asks another domain, unless all stands in the record', async () => {
    const other = ['_spf.example.com TXT v=spf1 ip4:198.51.100.7 -all']
    expect((await verdict('v=spf1 redirect=_spf.example.com', '198.51.100.7', other)).result).toBe('pass')
    expect((await verdict('v=spf1 redirect=_spf.example.com', '198.51.100.8', other)).result).toBe('fail')
    expect((await verdict('v=spf1 redirect=_spf.example.com ?all', '198.51.100.7', other)).result).toBe('neutral')
    expect((await verdict('v=spf1 redirect=nobody.example', '198.51.100.7')).result).toBe('permerror')
  })

  test.each([
    ['v=spf1 ipv4:192.0.2.1 -all', '"ipv4:192.0.2.1" is no term of SPF'],
    ['v=spf1 ip4:192.0.2.300 -all', '"ip4:192.0.2.300" is no term of SPF'],
    ['v=spf1 ip4:192.0.2.0/33 -all', '"ip4:192.0.2.0/33" is no term of SPF'],
    ['v=spf1 a: -all', '"a:" is no term of SPF'],
    ['v=spf1 include -all', '"include" is no term of SPF'],
  ])('%s is broken, and says where', async (record, why) => {
    expect(await verdict(record, '203.0.113.1')).toMatchObject({ result: 'permerror', why })
  })

  test('two records are as good as none', async () => {
    expect(await verdict('v=spf1 +all', '192.0.2.1', ['example.com TXT v=spf1 -all'])).toMatchObject({
      result: 'permerror',
      why: 'example.com has 2 SPF records; only one is allowed',
    })
  })

  test('a record that needs more than ten lookups is given up', async () => {
    const chain = Array.from({ length: 12 }, (_each, index) => `s${index}.example TXT v=spf1 include:s${index + 1}.example -all`)
    const last = 's12.example TXT v=spf1 +all'
    expect((await verdict('v=spf1 include:s0.example -all', '203.0.113.1', [...chain, last])).result).toBe('permerror')
    const short = chain.slice(4)
    expect((await verdict('v=spf1 include:s4.example -all', '203.0.113.1', [...short, last])).result).toBe('pass')
  })

  test('a record that leads in a circle ends', async () => {
    expect((await verdict('v=spf1 include:example.com -all', '203.0.113.1')).result).toBe('permerror')
  })

  test('more than two names that don’t exist are too many', async () => {
    expect((await verdict('v=spf1 a:x.example a:y.example -all', '203.0.113.1')).result).toBe('fail')
    expect((await verdict('v=spf1 a:x.example a:y.example a:z.example -all', '203.0.113.1')).result).toBe('permerror')
  })

  test('no answer is not taken for a refusal', async () => {
    expect(await verdict('v=spf1 a:slow.example -all', '203.0.113.1', ['!slow.example A x'])).toMatchObject({
      result: 'temperror',
      why: 'slow.example A: TIMEOUT',
    })
  })

  test('a domain without a record says nothing', async () => {
    expect(await checkSpf('192.0.2.1', 'a@example.net', zoneLookup(['example.net TXT some other text']))).toMatchObject({
      result: 'none',
      record: null,
    })
  })
})

describe('macros of SPF, with the examples of RFC 7208, 7.4', () => {
  const values = { address: '192.0.2.3', sender: 'strong-bad@email.example.com', domain: 'email.example.com' }
  test.each([
    ['%{s}', 'strong-bad@email.example.com'],
    ['%{o}', 'email.example.com'],
    ['%{d}', 'email.example.com'],
    ['%{d4}', 'email.example.com'],
    ['%{d3}', 'email.example.com'],
    ['%{d2}', 'example.com'],
    ['%{d1}', 'com'],
    ['%{dr}', 'com.example.email'],
    ['%{d2r}', 'example.email'],
    ['%{l}', 'strong-bad'],
    ['%{l-}', 'strong.bad'],
    ['%{lr}', 'strong-bad'],
    ['%{lr-}', 'bad.strong'],
    ['%{l1r-}', 'strong'],
    ['%{ir}.%{v}._spf.%{d2}', '3.2.0.192.in-addr._spf.example.com'],
    ['%{lr-}.lp._spf.%{d2}', 'bad.strong.lp._spf.example.com'],
    ['%{d2}.trusted-domains.example.net', 'example.com.trusted-domains.example.net'],
  ])('%s → %s', (text, expected) => expect(expandMacros(text, values)).toBe(expected))

  test('an IPv6 address is given digit by digit', () => {
    expect(expandMacros('%{ir}.%{v}._spf.%{d2}', { ...values, address: '2001:db8::cb01' })).toBe(
      '1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com',
    )
  })

  test('a stray percent sign is an error', () => expect(expandMacros('%(d).example', values)).toBeUndefined())
})
