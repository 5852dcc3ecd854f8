import type { Clock } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'

/** A status that Cloudflare itself doesn't send, for an answer that says 200 and means failure. */
const FALSE_SUCCESS_STATUS = 422
/** For an answer that says 200 and can't be read: what was asked for may have been done. */
const UNREADABLE_STATUS = 502

/**
 * `fetch` as the SDK shall see it: an answer of 200 whose body says `"success": false` becomes an error status. The SDK would
 * otherwise hand it on as an empty result, and an empty list of records is a dangerous thing to believe.
 */
export const checkedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  if (!response.ok) return response
  const text = await response.text()
  const verdict = verdictOn(text)
  if (verdict === 'unreadable') {
    const type = response.headers.get('content-type') ?? 'no type'
    const message = `the answer (${type}) is not Cloudflare's: something on the way, a proxy or a sign-in page, may have given it`
    return Response.json({ success: false, errors: [{ message }] }, { status: UNREADABLE_STATUS })
  }
  return new Response(text, {
    status: verdict === 'failure' ? FALSE_SUCCESS_STATUS : response.status,
    headers: response.headers,
  })
}

function verdictOn(text: string): 'success' | 'failure' | 'unreadable' {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== 'object' || body === null || !('success' in body)) return 'unreadable'
    return body.success === true ? 'success' : 'failure'
  } catch {
    return 'unreadable'
  }
}

interface ApiFailure {
  readonly status: number | undefined
  readonly codes: readonly number[]
  readonly text: string
  readonly retryAfter: string | undefined
  /** Cloudflare's name for the request, which its support asks for. */
  readonly ray: string | undefined
}

/** Reads the SDK's error by its shape: its classes are loaded lazily and can't be named here. */
function failureOf(error: unknown): ApiFailure {
  const status = member(error, 'status')
  const headers = member(error, 'headers')
  const errors = member(error, 'errors')
  const list = Array.isArray(errors) ? errors : []
  const all = list.flatMap(withChain)
  const codes = all.map((each) => member(each, 'code')).filter((code) => typeof code === 'number')
  const texts = all.map(say).filter((text) => text !== '')
  return {
    status: typeof status === 'number' ? status : undefined,
    codes,
    text: texts.join('; ') || deepestMessage(error),
    retryAfter: headers instanceof Headers ? (headers.get('retry-after') ?? undefined) : undefined,
    ray: headers instanceof Headers ? (headers.get('cf-ray') ?? undefined) : undefined,
  }
}

/** An error of Cloudflare's and the ones beneath it, which say what is really wrong (`error_chain`). */
function withChain(error: unknown): readonly unknown[] {
  const chain = member(error, 'error_chain')
  return [error, ...(Array.isArray(chain) ? chain : [])]
}

function say(error: unknown): string {
  const [message, code] = [member(error, 'message'), member(error, 'code')]
  if (typeof message !== 'string' || message === '') return ''
  return typeof code === 'number' && code > 0 ? `${message.replace(/\.$/, '')} (${code})` : message
}

const TRIES = 4
/** Cloudflare blocks for five minutes; who asks for more is told of to the person. */
const LONGEST_WAIT_MS = 300_000

/** Does `work` again as often as there were too many requests, each time after as long as Cloudflare asked to wait. */
export async function overLimits<T>(clock: Clock, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      const waitMs = waitOf(error, clock)
      if (waitMs === undefined || waitMs > LONGEST_WAIT_MS || tries === TRIES) throw error
      await clock.sleep(waitMs, signal)
    }
  }
}

/** Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
function waitOf(error: unknown, clock: Clock): number | undefined {
  const { status, retryAfter } = failureOf(error)
  if (status !== 429 || retryAfter === undefined) return undefined
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - clock.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && key in value ? (value as Record<string, unknown>)[key] : undefined

function deepestMessage(error: unknown): string {
  const cause = member(error, 'cause')
  return cause === undefined ? shortened(messageOf(error)) : deepestMessage(cause)
}

const LONGEST_TEXT = 300

/** What isn't Cloudflare's own shape may be a whole page of a server on the way. */
const shortened = (text: string): string => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text)

/** True when the request may have been carried out although no answer says so: to be re-read, never repeated blindly. */
export function answerLost(error: unknown): boolean {
  const { status } = failureOf(error)
  return status === undefined || status >= 500
}

/** A batch without an answer, when the changes don't stand however long they are looked for. */
export function lostError(error: unknown, zone: string): MigrateError {
  const { status, text } = failureOf(error)
  const why = status === undefined ? `no answer (${text})` : `${text}, status ${status}`
  return new MigrateError(
    'dns-unreachable',
    `Cloudflare did not say whether it changed the records of ${zone}: ${why}. Read back for some seconds, the changes don't stand.`,
    {
      hint: 'Check the network here and https://www.cloudflarestatus.com, then run again: what stands by then is left alone.',
      retrySafe: true,
      cause: error,
    },
  )
}

/** "Invalid request headers", "Authentication error", "Invalid API Token" (Cloudflare's API error codes). */
const TOKEN_CODES = [6003, 6111, 9106, 9109, 1000, 1001]
/** Authentication error for this resource: the token is known, but not for this. */
const RIGHT_CODES = [10000, 9103]

/** Cloudflare's answer as an error for people; `task` completes "could not …". */
export function cloudflareError(error: unknown, zone: string, task: string): MigrateError {
  if (error instanceof MigrateError) return error
  const { status, codes, text, retryAfter, ray } = failureOf(error)
  const says = `Cloudflare could not ${task}`
  if (status === undefined) {
    return new MigrateError(
      'dns-unreachable',
      `${says}: no answer (${text}). Whether a change was made is read back before anything is repeated.`,
      {
        hint: 'Check the network here and https://www.cloudflarestatus.com, then run again.',
        retrySafe: true,
        cause: error,
      },
    )
  }
  if (status === 429) {
    const wait =
      retryAfter === undefined ? 'five minutes' : /^\d+$/.test(retryAfter) ? `${retryAfter} seconds` : `until ${retryAfter}`
    return new MigrateError('dns-rate-limited', `${says}: too many requests for this account. Nothing was changed.`, {
      hint: `Wait ${wait}, and see what else uses the account's API; then run again.`,
      retrySafe: true,
      cause: error,
    })
  }
  if (status === 401 || (status === 400 && codes.some((code) => TOKEN_CODES.includes(code)))) {
    return new MigrateError('dns-token-rejected', `Cloudflare rejected the token: ${text}. Nothing was changed.`, {
      hint: 'Is it whole, not expired, and an API token rather than the global key? Make one under My Profile → API Tokens.',
      cause: error,
    })
  }
  if (status === 403 || codes.some((code) => RIGHT_CODES.includes(code))) return deniedError(says, zone, text, codes, error)
  return new MigrateError('dns-failed', `${says}: ${text}. Nothing was changed.`, {
    hint: `The words are Cloudflare’s; search its API documentation for them${ray === undefined ? '' : `, or give its support the Ray ID ${ray}`}. Run again when the cause is mended.`,
    retrySafe: status >= 500,
    cause: error,
  })
}

function deniedError(says: string, zone: string, text: string, codes: readonly number[], cause: unknown): MigrateError {
  if (codes.some((code) => TOKEN_CODES.includes(code))) {
    return new MigrateError('dns-token-rejected', `Cloudflare rejected the token: ${text}. Nothing was changed.`, {
      hint: 'Is it whole, not expired, and allowed from this address? Make one under My Profile → API Tokens.',
      cause,
    })
  }
  return new MigrateError('dns-permission-denied', `${says}: the token may not (${text}). Nothing was changed.`, {
    hint: `In Cloudflare's dashboard under My Profile → API Tokens, give the token Zone → DNS → Edit for ${zone}.`,
    cause,
  })
}
