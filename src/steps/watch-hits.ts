import { messageOf } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import { isCustomer } from '../logs/customers.ts'
import type { TakeLine } from '../logs/followed.ts'
import { HitCount } from '../logs/hits.ts'
import { LogTail } from '../logs/tail.ts'
import type { StepRun } from '../run/step.ts'
import type { Host } from './world.ts'

/** What the access logs of one host say. */
export interface HitsView {
  /** `none`: there are no logs, or none that can be understood; `unanswered`: they can't be read at present. */
  readonly state: 'known' | 'none' | 'unanswered'
  /** `null` unless known. */
  readonly hitsPerMinute: number | null
  /** Milliseconds since the last hit that was seen; `undefined` when none was. */
  readonly quietForMs: number | undefined
}

const noView = (state: 'none' | 'unanswered'): HitsView => ({ state, hitsPerMinute: null, quietForMs: undefined })
/** So many lines, and not one understood: it is no access log. */
const ENOUGH_LINES = 5

/** Follows the access logs of one host. One that can't be read is told once for each outage, and tried again at the next look. */
export class HostHits {
  readonly #host: Host
  readonly #bots: boolean
  readonly #tails: readonly LogTail[]
  readonly #told = new Set<string>()
  #count: HitCount | undefined
  #failing = false
  #understood = 0
  #strange = 0
  #files = 0

  constructor(host: Host, bots: boolean) {
    this.#host = host
    this.#bots = bots
    this.#tails = (host.logs ?? []).map((place) => new LogTail(place))
  }

  /** `tell`: what is told of once, or once for each outage. */
  async look(run: StepRun, tell: Tell = (finding) => run.emit({ event: 'finding', ...finding })): Promise<HitsView> {
    if (this.#tails.length === 0) return noView('none')
    const count = this.#count ?? new HitCount(run.clock.now(), run.clock.monotonic())
    this.#count = count
    this.#files = 0
    try {
      for (const [index, tail] of this.#tails.entries()) await this.#follow(tail, index, count, { run, tell })
      if (this.#failing) run.emit({ event: 'note', message: `The access logs of the ${this.#host.side} host can be read again.` })
      this.#failing = false
    } catch (error) {
      run.signal.throwIfAborted()
      if (!this.#failing) tell(unread(this.#host.side, error))
      this.#failing = true
      return noView('unanswered')
    }
    if (this.#understood === 0 && this.#strange >= ENOUGH_LINES) {
      this.#tellOnce(tell, 'log-format-unknown', formatUnknown(this.#host))
      return noView('none')
    }
    if (this.#files === 0) return noView('none')
    const now = run.clock.monotonic()
    return { state: 'known', hitsPerMinute: count.perMinute(now), quietForMs: count.quietFor(now) }
  }

  async #follow(tail: LogTail, index: number, count: HitCount, { run, tell }: Telling): Promise<void> {
    const written = this.#host.logs?.[index]?.written ?? ''
    let [hits, bytes, newest] = [0, 0, 0]
    const take =
      (fresh: boolean): TakeLine =>
      (request, lineBytes) => {
        if (request === undefined) {
          this.#strange += 1
          return
        }
        this.#understood += 1
        bytes += lineBytes
        newest = Math.max(newest, request.at)
        count.saw(request.at, run.clock.monotonic(), fresh)
        if (!isCustomer(request, this.#bots)) return
        count.add(request.at, 1)
        if (fresh) hits += 1
      }
    const look = await tail.look(take, run.signal)
    if (look.skippedBytes > 0 && bytes > 0) {
      const more = Math.round((look.skippedBytes * hits) / bytes)
      count.add(newest, more)
      this.#tellOnce(tell, `skipped ${index}`, tooMuch(this.#host.side, written, look.skippedBytes))
    }
    this.#files += look.files
    if (look.files === 0) this.#tellOnce(tell, `none ${index}`, noLog(this.#host.side, written))
    for (const path of look.lost) tell(lostEnd(this.#host.side, path))
  }

  #tellOnce(tell: Tell, key: string, finding: LogFinding): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    tell(finding)
  }
}

type Tell = (finding: LogFinding) => void
interface Telling {
  readonly run: StepRun
  readonly tell: Tell
}

interface LogFinding {
  readonly severity: 'warning' | 'info'
  readonly code: string
  readonly message: string
  readonly hint: string
}

const unread = (side: string, error: unknown): LogFinding => ({
  severity: 'warning',
  code: 'logs-unreadable',
  message: `The access logs of the ${side} host can't be read at present (${messageOf(error)}).`,
  hint: 'They are tried again at every look; until then, hits are not known and the old host does not count as quiet.',
})

const noLog = (side: string, written: string): LogFinding => ({
  severity: 'warning',
  code: 'logs-missing',
  message: `No access log on the ${side} host matches ${written}.`,
  hint: `Correct ${side}.logs: the folder must be exact, and * may stand in the file's name. A log that appears later is found.`,
})

const formatUnknown = (host: Host): LogFinding => ({
  severity: 'warning',
  code: 'log-format-unknown',
  message: `The lines of ${host.logs?.map(({ written }) => written).join(', ')} on the ${host.side} host are no access log that migrate can read: hits are not known.`,
  hint: 'It reads W3C extended logs (IIS), the common and combined formats, and JSON lines with time, status, uri and user agent.',
})

const tooMuch = (side: string, written: string, bytes: number): LogFinding => ({
  severity: 'info',
  code: 'logs-sampled',
  message: `${written} on the ${side} host grows faster than it is read: ${formatBytes(bytes)} were passed over, and hits are an estimate by their size.`,
  hint: 'A shorter `every:` reads more of it.',
})

const lostEnd = (side: string, path: string): LogFinding => ({
  severity: 'info',
  code: 'log-end-lost',
  message: `${path} on the ${side} host was removed or cut to nothing, and no copy of it is to be found: hits that were logged since the last look may be missing.`,
  hint: 'Let the watch look more often (`every:`), or keep the rotated log beside it.',
})
