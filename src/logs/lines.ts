/** One request that an access log tells of. */
export interface LoggedRequest {
  /** Milliseconds since 1970, by the clock of the host that wrote it. */
  readonly at: number
  /** `null` where the log doesn't say. */
  readonly status: number | null
  readonly path: string
  /** '' where the client gave none, `null` where the log doesn't say. */
  readonly agent: string | null
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/**
 * Reads the lines of one log, whose format it finds by looking: W3C extended (IIS; W3C WD-logfile-960323, times in UTC), the common
 * and combined formats of Apache and nginx, or JSON lines. Knows the `#Fields:` that it has read, so a log has a reader of its own.
 */
export class LineReader {
  #fields: readonly string[] | undefined
  #date = ''

  constructor(like?: LineReader) {
    this.#fields = like === undefined ? undefined : like.#fields
    this.#date = like === undefined ? '' : like.#date
  }

  /** A request; `nothing` for a comment or an empty line; `undefined` for a line that isn't understood. */
  read(line: string): LoggedRequest | 'nothing' | undefined {
    if (line.startsWith('#')) return this.#directive(line)
    if (line.trim() === '') return 'nothing'
    if (line.startsWith('{')) return fromJson(line)
    return fromCommon(line) ?? (this.#fields === undefined ? undefined : this.#fromFields(line, this.#fields))
  }

  #directive(line: string): 'nothing' {
    const [, name, value] = /^#([A-Za-z-]+):\s*(.*)$/.exec(line) ?? []
    if (name === 'Fields') this.#fields = (value ?? '').split(/\s+/).map((field) => field.toLowerCase())
    if (name === 'Date') this.#date = (value ?? '').slice(0, 10)
    return 'nothing'
  }

  #fromFields(line: string, fields: readonly string[]): LoggedRequest | undefined {
    const values = line.split(line.includes('\t') ? '\t' : ' ')
    // The rest of a line that was cut is no request.
    if (values.length !== fields.length) return undefined
    const value = (name: string): string | undefined => values[fields.indexOf(name)]
    const date = value('date') ?? this.#date
    const at = Date.parse(`${date}T${value('time') ?? ''}Z`)
    if (Number.isNaN(at)) return undefined
    const agent = value('cs(user-agent)')
    return {
      at,
      status: statusOf(value('sc-status')),
      path: value('cs-uri-stem') ?? value('cs-uri') ?? '',
      agent: agent === undefined ? null : agent === '-' ? '' : agent.replaceAll('+', ' '),
    }
  }
}

const statusOf = (text: string | undefined): number | null =>
  text !== undefined && /^[1-5]\d\d$/.test(text) ? Number(text) : null

/** `host ident user [day/Mon/year:time zone] "request" status bytes "referer" "agent"`; a virtual host may stand before it. */
const COMMON =
  /^\S+ .*?\[(\d{2})\/([A-Za-z]{3})\/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})\] "((?:[^"\\]|\\.)*)" (\d{3}|-) \S+(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)")?/

function fromCommon(line: string): LoggedRequest | undefined {
  const match = COMMON.exec(line)
  if (match === null) return undefined
  const [, day, month, year, time, hours, minutes, request = '', status, agent] = match
  const number = MONTHS.indexOf((month ?? '').toLowerCase()) + 1
  const at = Date.parse(`${year}-${String(number).padStart(2, '0')}-${day}T${time}${hours}:${minutes}`)
  if (Number.isNaN(at)) return undefined
  return { at, status: statusOf(status), path: targetOf(request), agent: agent === undefined ? null : agent === '-' ? '' : agent }
}

/** `GET /cart HTTP/1.1` → `/cart`. */
const targetOf = (request: string): string => request.split(' ')[1] ?? request

/** Names that servers and their users give these members, letters and digits alone. */
const TIMES = ['timestamp', 'time', 'ts', 'timeiso8601', 'timelocal', 'datetime', 'date', 'msec', 'startutc', 'starttime']
const STATUSES = ['status', 'statuscode', 'scstatus', 'httpstatus', 'downstreamstatus', 'responsestatus', 'responsecode']
const PATHS = ['uri', 'requesturi', 'path', 'url', 'requestpath', 'csuristem', 'requesturl', 'request']
const AGENTS = ['useragent', 'httpuseragent', 'agent', 'requestuseragent', 'csuseragent']
const DEPTH = 3

function fromJson(line: string): LoggedRequest | undefined {
  const members = membersOf(line)
  if (members === undefined) return undefined
  const first = (names: readonly string[]): string | number | undefined =>
    names.map((name) => members.get(name)).find((value) => value !== undefined)
  const at = timeOf(first(TIMES))
  if (at === undefined) return undefined
  const path = String(first(PATHS) ?? '')
  const agent = first(AGENTS)
  return {
    at,
    status: statusOf(String(first(STATUSES) ?? '')),
    path: path.includes(' ') ? targetOf(path) : path,
    agent: agent === undefined ? null : agent === '-' ? '' : String(agent),
  }
}

/** Every text and number of the object, by its own name alone; of two with one name, the outer. `undefined` when it is no JSON. */
function membersOf(line: string): ReadonlyMap<string, string | number> | undefined {
  const found = new Map<string, string | number>()
  const collect = (value: unknown, name: string, depth: number): void => {
    const plain = Array.isArray(value) && value.length === 1 ? value[0] : value
    if (typeof plain === 'string' || typeof plain === 'number') {
      if (!found.has(name)) found.set(name, plain)
    } else if (typeof plain === 'object' && plain !== null && depth < DEPTH) {
      // Breadth first: what stands in the object itself goes before what stands in its members.
      const entries = Object.entries(plain).map(([key, each]) => [key.toLowerCase().replace(/[^a-z0-9]/g, ''), each] as const)
      const isDeep = ([, each]: readonly [string, unknown]): boolean => typeof each === 'object'
      for (const [key, each] of [...entries.filter((entry) => !isDeep(entry)), ...entries.filter(isDeep)])
        collect(each, key, depth + 1)
    }
  }
  try {
    collect(JSON.parse(line), '', 0)
    return found
  } catch {
    return undefined
  }
}

const DAY_MS = 86_400_000
/** Counts since 1970 are taken by their size: seconds to the year 5138, then milli-, micro- and nanoseconds. */
const UNITS = [1000, 1, 1 / 1000, 1 / 1_000_000]
const LAST_MS = 1e14

function timeOf(value: string | number | undefined): number | undefined {
  if (value === undefined) return undefined
  const text = String(value)
  if (/^\d+(\.\d+)?$/.test(text)) {
    const count = Number(text)
    return UNITS.map((unit) => count * unit).find((ms) => ms < LAST_MS && ms > 365 * DAY_MS)
  }
  const clf = /^\[?(\d{2})\/([A-Za-z]{3})\/(\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})\]?$/.exec(text)
  const iso =
    clf === null
      ? text.replace(' ', 'T')
      : `${clf[3]}-${String(MONTHS.indexOf((clf[2] ?? '').toLowerCase()) + 1).padStart(2, '0')}-${clf[1]}T${clf[4]}${clf[5]}:${clf[6]}`
  // Without a zone it is taken for UTC, as logs of many hosts are.
  const at = Date.parse(/(Z|[+-]\d{2}:?\d{2})$/.test(iso) ? iso : `${iso}Z`)
  return Number.isNaN(at) ? undefined : at
}
