import { describe, expect, it } from 'vitest'
import { isoTime } from '../../src/base/clock.ts'
import { isCustomer } from '../../src/logs/customers.ts'
import { HitCount } from '../../src/logs/hits.ts'
import { LineReader } from '../../src/logs/lines.ts'
import { combined, json, W3C_HEAD, w3c } from './shop-log.ts'

const AT = Date.UTC(2009, 7, 26, 8, 15, 30)
const read = (text: string) => {
  const lines = new LineReader()
  return text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => lines.read(line))
    .at(-1)
}
const timeOf = (text: string): string | undefined => {
  const request = read(text)
  return typeof request === 'object' ? isoTime(request.at) : request
}

describe('lines of access logs', () => {
  it('reads the combined, W3C and JSON formats alike, each with its own way of telling time', () => {
    for (const line of [combined({ at: AT }), W3C_HEAD + w3c({ at: AT }), json({ at: AT })]) {
      expect(read(line)).toEqual({ at: AT, status: 200, path: '/shirts', agent: expect.stringContaining('Firefox/130.0') })
    }
  })

  it('reads what servers really write', () => {
    const common = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
    expect(read(common)).toEqual({ at: Date.UTC(2000, 9, 10, 20, 55, 36), status: 200, path: '/apache_pb.gif', agent: null })
    const vhost = 'shop.example:443 2001:db8::1 - - [26/Aug/2009:08:15:30 +0000] "GET /a\\"b HTTP/2.0" 304 - "-" "-"'
    expect(read(vhost)).toEqual({ at: AT, status: 304, path: '/a\\"b', agent: '' })
    const caddy = { level: 'info', ts: AT / 1000, request: { uri: '/x', headers: { 'User-Agent': ['Firefox'] } }, status: 301 }
    expect(read(JSON.stringify(caddy))).toEqual({ at: AT, status: 301, path: '/x', agent: 'Firefox' })
    const nginx = { time_local: '26/Aug/2009:10:15:30 +0200', request: 'GET /y HTTP/1.1', status: '200', http_user_agent: '-' }
    expect(read(JSON.stringify(nginx))).toEqual({ at: AT, status: 200, path: '/y', agent: '' })
    for (const time of [AT, AT / 1000, AT * 1000, '2009-08-26T08:15:30', '2009-08-26 04:15:30-04:00'])
      expect(timeOf(JSON.stringify({ '@timestamp': time })), String(time)).toBe(isoTime(AT))
    expect(timeOf('#Date: 2009-08-26 00:00:01\n#Fields: time cs-uri-stem sc-status\n08:15:30 /x 200')).toBe(isoTime(AT))
  })

  it('takes a part of a line for no request', () => {
    const line = combined({ at: AT }).trimEnd()
    for (let cut = 1; cut < line.indexOf(' 512'); cut += 7)
      expect(read(line.slice(cut + 14)), line.slice(cut + 14)).toBeUndefined()
    expect(read(`${W3C_HEAD}${w3c({ at: AT }).slice(12)}`)).toBeUndefined()
    expect(read('{"time": "2009-08-26T08:1')).toBeUndefined()
    expect(read('[error] 3#3: upstream timed out')).toBeUndefined()
  })
})

describe('customers among the requests', () => {
  const isOne = (agent: string | null, path = '/', status = 200) => isCustomer({ at: AT, agent, path, status }, false)

  it('counts browsers, and nobody who only looks whether the shop is up, ourselves included', () => {
    expect(
      isOne(
        'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1',
      ),
    ).toBe(true)
    expect(isOne(null)).toBe(true)
    expect(isOne('Firefox', '/shop', 500)).toBe(true)
    for (const agent of [
      'live-host-migration',
      'kube-probe/1.29',
      'Pingdom.com_bot_version_1.4',
      'UptimeRobot/2.0',
      'Googlebot/2.1',
      'curl/8.5',
      '',
    ])
      expect(isOne(agent), agent).toBe(false)
    expect(isOne('Firefox', '/healthz')).toBe(false)
    expect(isOne('Firefox', '/wp-login.php', 404)).toBe(false)
  })

  it('counts bots where the playbook asks for it, but never monitoring', () => {
    expect(isCustomer({ at: AT, agent: 'Googlebot/2.1', path: '/', status: 200 }, true)).toBe(true)
    expect(isCustomer({ at: AT, agent: 'live-host-migration', path: '/', status: 200 }, true)).toBe(false)
  })
})

describe('hits per minute', () => {
  it('goes by the time in the lines: what arrives late or together is counted where it belongs', () => {
    const count = new HitCount(AT, 0)
    for (let second = 0; second < 180; second += 1) {
      count.saw(AT - second * 1000, 0, false)
      count.add(AT - second * 1000, 1)
    }
    count.add(AT - 3_600_000, 1000)
    expect(count.perMinute(0)).toBeCloseTo(57, -1)
    expect(count.perMinute(120_000)).toBeCloseTo(20, -1)
    expect(count.perMinute(300_000)).toBe(0)
    expect(count.quietFor(300_000)).toBe(300_000)
  })

  it('follows the host’s clock when it isn’t ours', () => {
    const count = new HitCount(AT, 0)
    for (let look = 1; look <= 3; look += 1) {
      const theirs = AT - 3_600_000 + look * 60_000
      count.saw(theirs - 1000, look * 60_000, true)
      count.add(theirs - 1000, 10)
    }
    expect(count.perMinute(180_000)).toBe(10)
    expect(count.quietFor(180_000)).toBeLessThan(2000)
    expect(count.quietFor(600_000)).toBeGreaterThan(400_000)
  })
})
