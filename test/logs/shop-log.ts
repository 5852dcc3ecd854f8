import { isoTime } from '../../src/base/clock.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0'

export interface Hit {
  readonly at: number
  readonly path?: string
  readonly status?: number
  readonly agent?: string
}

/** As Apache and nginx write it, by a clock two hours east of Greenwich. */
export function combined({ at, path = '/shirts', status = 200, agent = BROWSER }: Hit): string {
  const time = isoTime(at + 2 * 3_600_000)
  const day = `${time.slice(8, 10)}/${MONTHS[Number(time.slice(5, 7)) - 1]}/${time.slice(0, 4)}`
  return `203.0.113.7 - - [${day}:${time.slice(11, 19)} +0200] "GET ${path} HTTP/1.1" ${status} 512 "-" "${agent}"\n`
}

export const W3C_HEAD =
  '#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2009-08-26 00:00:00\r\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r\n'

/** As IIS writes it: UTC, `+` for spaces. */
export const w3c = ({ at, path = '/shirts', status = 200, agent = BROWSER }: Hit): string =>
  `${isoTime(at).slice(0, 10)} ${isoTime(at).slice(11, 19)} 192.0.2.1 GET ${path} - 443 - 203.0.113.7 ${agent.replaceAll(' ', '+')} - ${status} 0 0 15\r\n`

export const json = ({ at, path = '/shirts', status = 200, agent = BROWSER }: Hit): string =>
  `${JSON.stringify({ time: isoTime(at), status, uri: path, user_agent: agent })}\n`
