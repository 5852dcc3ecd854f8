import { isIP } from 'node:net'
import type { Result } from 'autocannon'
import { MigrateError } from '../base/errors.ts'

export interface LoadOptions {
  /** The name customers use: Host header and SNI are its. */
  readonly site: URL
  /** Where the host answers. */
  readonly host: URL
  readonly paths: readonly string[]
  /** Requests a second, all connections together. */
  readonly rate: number
  readonly seconds: number
  readonly connections: number
  readonly signal: AbortSignal
}

/** Times are milliseconds, from the moment at which a request was due (so that a host that stalls can't hide it). */
export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly slowest: number
  /** Connections refused or reset, and answers that didn't come in time. */
  readonly unanswered: number
  /** Answers with a status of 400 and more, by status. */
  readonly failed: ReadonlyMap<number, number>
}

const TIMEOUT_SECONDS = 10
const FIRST_ERROR_STATUS = 400

/**
 * Puts a bounded load of reading requests on one host, whatever DNS says, and measures how it bears it. The certificate isn't
 * judged here. Throws the signal's reason; MigrateError `site-failed` when no request could be made at all.
 */
export async function putLoad(options: LoadOptions): Promise<LoadResult> {
  const { default: autocannon } = await import('autocannon')
  const { site, host, paths, rate, seconds, connections, signal } = options
  signal.throwIfAborted()
  const settings = {
    url: host.origin,
    requests: paths.map((path) => ({ method: 'GET' as const, path })),
    headers: { host: site.host, 'user-agent': 'live-host-migration', 'accept-encoding': 'gzip, deflate, br' },
    ...(isIP(site.hostname) === 0 ? { servername: site.hostname } : {}),
    connections: Math.min(connections, Math.max(1, Math.floor(rate))),
    overallRate: rate,
    duration: seconds,
    timeout: TIMEOUT_SECONDS,
  }
  const failed = new Map<number, number>()
  let stop: () => void = () => undefined
  try {
    const result = await new Promise<Result>((resolve, reject) => {
      const running = autocannon(settings, (error: unknown, ended) => (error ? reject(error) : resolve(ended)))
      running.on('response', (_client, status) => {
        if (status >= FIRST_ERROR_STATUS) failed.set(status, (failed.get(status) ?? 0) + 1)
      })
      stop = () => running.stop()
      signal.addEventListener('abort', stop)
    })
    signal.throwIfAborted()
    if (result.requests.total === 0 && result.errors === 0) {
      throw new MigrateError('site-failed', `No request could be made to ${host.host}. Nothing was changed.`, {
        hint: 'Is the web server of that host running?',
      })
    }
    return {
      requests: result.requests.total,
      perSecond: result.requests.total / seconds,
      p50: result.latency.p50,
      p99: result.latency.p99,
      slowest: result.latency.max,
      unanswered: result.errors,
      failed,
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
