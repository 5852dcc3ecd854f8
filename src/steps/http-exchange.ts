import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { MigrateError, messageOf } from '../base/errors.ts'

export interface HttpQuestion {
  /** As customers name it: decides Host, SNI and the certificate's name. */
  readonly url: URL
  /** Where it is asked, whatever DNS says; its scheme and port are used. Absent: where DNS leads. */
  readonly at?: URL | undefined
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly timeoutMs: number
}

export interface HttpAnswer {
  readonly status: number
  /** Lower-case names; values of repeated ones joined by ", ". */
  readonly headers: Readonly<Record<string, string>>
  /** At most 4 MiB of it, as UTF-8. */
  readonly body: string
}

const KEEP_BYTES = 4 * 1024 * 1024

/** One request, redirects not followed. Throws MigrateError `http-unreachable`; what is answered, errors included, is returned. */
export async function ask(question: HttpQuestion, signal: AbortSignal): Promise<HttpAnswer> {
  // Loaded when something is asked: 13 MiB that a move of files or rows alone does without.
  const { Agent, request } = await import('undici')
  const { url, at, timeoutMs } = question
  const agent = new Agent({
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: {
      timeout: timeoutMs,
      servername: isIP(url.hostname) === 0 ? url.hostname : '',
      ...(at === undefined ? {} : { lookup: leadingTo(at.hostname.replace(/^\[|\]$/g, '')) }),
    },
  })
  try {
    const response = await request(targetOf(url, at), {
      dispatcher: agent,
      method: question.method,
      headers: { 'user-agent': 'live-host-migration', ...question.headers, host: url.host },
      body: question.body ?? null,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    return { status: response.statusCode, headers: joined(response.headers), body: await textOf(response.body) }
  } catch (error) {
    signal.throwIfAborted()
    const where = at === undefined ? url.href : `${url.href} at ${at.host}`
    throw new MigrateError('http-unreachable', `${question.method} ${where} got no answer: ${messageOf(error)}.`, {
      hint: 'Is the web server running, and its port open to this machine?',
      cause: error,
    })
  } finally {
    await agent.destroy()
  }
}

function targetOf(url: URL, at: URL | undefined): URL {
  const target = new URL(url.href)
  if (at !== undefined) {
    target.protocol = at.protocol
    target.port = at.port
  }
  return target
}

/** Leads every connection to one address; a host given by its name is resolved by this machine. */
const leadingTo =
  (address: string): LookupFunction =>
  (_hostname, options, callback) => {
    const family = isIP(address)
    if (family === 0) systemLookup(address, options, callback)
    else if (options.all === true) callback(null, [{ address, family }])
    else callback(null, address, family)
  }

const joined = (headers: Readonly<Record<string, string | string[] | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value ?? ''].flat().join(', ')]))

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const kept: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    if (bytes < KEEP_BYTES) kept.push(chunk.subarray(0, KEEP_BYTES - bytes))
    bytes += chunk.length
  }
  return Buffer.concat(kept).toString('utf8')
}
