import { describe, expect, it } from 'vitest'
import { describeChange, diffRecords, namesToRead, type WantedRecord } from '../../src/dns/diff.ts'
import { canonicalContent, canonicalName, formatServerAddress, parseServerAddress, wildcardsFor } from '../../src/dns/names.ts'
import type { DnsRecord } from '../../src/dns/port.ts'

const have = (name: string, type: DnsRecord['type'], content: string, more: Partial<DnsRecord> = {}): DnsRecord => ({
  name,
  type,
  content,
  ttlSeconds: 300,
  proxied: false,
  id: `${name} ${content}`,
  ...more,
})
const want = (name: string, type: DnsRecord['type'], to: string): WantedRecord => ({ name, type, to })
const plan = (wanted: readonly WantedRecord[], current: readonly DnsRecord[]): readonly string[] =>
  diffRecords(wanted, current, 'shop.example').changes.map(describeChange)

describe('the difference between playbook and zone', () => {
  it('is nothing when they agree, however they are spelled', () => {
    expect(
      plan(
        [
          want('Shop.Example.', 'A', '198.51.100.20'),
          want('shop.example', 'AAAA', '2001:DB8:0::20'),
          want('www.shop.example', 'CNAME', 'Shop.example.'),
        ],
        [
          have('shop.example', 'A', '198.51.100.20'),
          have('shop.example', 'AAAA', '2001:db8::20'),
          have('www.shop.example', 'CNAME', 'shop.example'),
        ],
      ),
    ).toEqual([])
  })

  it('changes content and keeps TTL, proxying and id', () => {
    const before = have('shop.example', 'A', '203.0.113.10', { ttlSeconds: 60, proxied: true })
    expect(diffRecords([want('shop.example', 'A', '198.51.100.20')], [before], 'shop.example').changes).toEqual([
      { before, after: { ...before, content: '198.51.100.20' } },
    ])
  })

  it('creates what is missing and deletes what is left over of the same name and type', () => {
    const current = [
      have('shop.example', 'A', '203.0.113.10'),
      have('shop.example', 'A', '203.0.113.11'),
      have('blog.shop.example', 'A', '203.0.113.10'),
    ]
    expect(plan([want('shop.example', 'A', '198.51.100.20')], current)).toEqual([
      '± MODIFY A shop.example 203.0.113.10 ttl=300 → 198.51.100.20 ttl=300',
      '- DELETE A shop.example 203.0.113.11 ttl=300',
    ])
    expect(plan([want('new.shop.example', 'A', '198.51.100.20')], current)).toEqual([
      '+ CREATE A new.shop.example 198.51.100.20 ttl=300',
    ])
  })

  it('leaves a record alone that already says the right thing beside a wrong one', () => {
    const current = [have('shop.example', 'A', '198.51.100.20'), have('shop.example', 'A', '203.0.113.10')]
    expect(plan([want('shop.example', 'A', '198.51.100.20')], current)).toEqual(['- DELETE A shop.example 203.0.113.10 ttl=300'])
  })

  it('refuses a CNAME beside other records, in the zone and in the playbook', () => {
    const codes = (wanted: readonly WantedRecord[], current: readonly DnsRecord[]): readonly string[] =>
      diffRecords(wanted, current, 'shop.example').findings.map((finding) => finding.code)
    expect(codes([want('www.shop.example', 'CNAME', 'shop.example')], [have('www.shop.example', 'A', '203.0.113.10')])).toEqual([
      'dns-type-conflict',
    ])
    expect(codes([want('a.shop.example', 'CNAME', 'b.example'), want('a.shop.example', 'A', '192.0.2.1')], [])).toEqual([
      'dns-type-conflict',
      'dns-type-conflict',
    ])
    expect(codes([want('a.shop.example', 'CNAME', 'b.example'), want('a.shop.example', 'CNAME', 'c.example')], [])).toEqual([
      'dns-type-conflict',
    ])
  })

  it('reads the wildcards and the site’s other name too', () => {
    expect(namesToRead([want('a.b.shop.example', 'A', '192.0.2.1')], 'shop.example')).toEqual([
      'a.b.shop.example',
      '*.shop.example',
      '*.b.shop.example',
      'www.a.b.shop.example',
    ])
    expect(namesToRead([want('www.shop.example', 'A', '192.0.2.1')], 'shop.example')).toContain('shop.example')
    expect(namesToRead([want('shop.example', 'A', '192.0.2.1')], 'shop.example')).toEqual([
      'shop.example',
      '*.shop.example',
      'www.shop.example',
    ])
    expect(namesToRead([want('*.shop.example', 'A', '192.0.2.1')], 'shop.example')).toEqual(['*.shop.example'])
    expect(wildcardsFor('shop.example', 'shop.example')).toEqual([])
  })
})

describe('names and addresses', () => {
  it('have one spelling', () => {
    expect([
      canonicalName('WWW.Shop.Example.'),
      canonicalName('*.Shop.example'),
      canonicalName('bücher.example'),
      canonicalName('_dmarc.shop.example'),
    ]).toEqual(['www.shop.example', '*.shop.example', 'xn--bcher-kva.example', '_dmarc.shop.example'])
    expect(canonicalContent('AAAA', '2001:0DB8:0:0::1')).toBe('2001:db8::1')
  })

  it.each([
    '',
    '.',
    '-x.example',
    '-f/etc/passwd',
    'a..b',
    'a b',
    '192.0.2.1',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(130)}example`,
    'a.*.example',
  ])('are refused: %s', (text) => {
    expect(() => canonicalName(text)).toThrow(expect.objectContaining({ code: 'dns-name-invalid' }))
  })

  it.each([
    ['192.0.2.1', { address: '192.0.2.1', port: 53 }],
    ['127.0.20.1:5301', { address: '127.0.20.1', port: 5301 }],
    ['2001:db8::1', { address: '2001:db8::1', port: 53 }],
    ['[2001:db8::1]:5301', { address: '2001:db8::1', port: 5301 }],
  ])('%s is read and written back', (text, server) => {
    expect(parseServerAddress(text)).toEqual(server)
    expect(formatServerAddress(server)).toBe(text)
  })

  it.each(['ns1.example', '192.0.2.1:0', '192.0.2.1:70000', '192.0.2.300', '[192.0.2.1', ''])(
    '%s is no address of a name server',
    (text) => {
      expect(() => parseServerAddress(text)).toThrow(expect.objectContaining({ code: 'dns-address-invalid' }))
    },
  )
})
