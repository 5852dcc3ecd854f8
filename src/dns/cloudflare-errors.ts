import { MigrateError, messageOf } from '../base/errors.ts'

/** A status that Cloudflare itself doesn't send, for an answer that says 200 and means failure. */
const FALSE_SUCCESS_STATUS = 422

/**
 * `fetch` as the SDK shall see it: an answer of 200 whose body says `"success": false` becomes an error status. The SDK would
 * otherwise hand it on as an empty result, and an empty list of records is a dangerous thing to believe.
 */
export const checkedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init)
  if (!response.ok || !(response.headers.get('content-type') ?? '').includes('json')) return response
  const text = await response.text()
  const failed = saysFailure(text)
  return new Response(text, { status: failed ? FALSE_SUCCESS_STATUS : response.status, headers: response.headers })
}

function saysFailure(text: string): boolean {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body !== 'object' || body === null || !('success' in body) || body.success !== true
  } catch {
    // A cut-off or foreign body is no success either.
    return true
  }
}

interface ApiFailure {
  readonly status: number | undefined
  readonly codes: readonly number[]
  readonly text: string
  readonly retryAfter: string | undefined
}

/** Reads the SDK's error by its shape: its classes are loaded lazily and can't be named here. */
function failureOf(error: unknown): ApiFailure {
  const status = member(error, 'status')
  const headers = member(error, 'headers')
  const errors = member(error, 'errors')
  const list = Array.isArray(errors) ? errors : []
  const codes = list.map((each: unknown) => member(each, 'code')).filter((code) => typeof code === 'number')
  const texts = list.map((each: unknown) => member(each, 'message')).filter((text) => typeof text === 'string')
  return {
    status: typeof status === 'number' ? status : undefined,
    codes,
    text: texts.join('; ') || deepestMessage(error),
    retryAfter: headers instanceof Headers ? (headers.get('retry-after') ?? undefined) : undefined,
  }
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && key in value ? (value as Record<string, unknown>)[key] : undefined

function deepestMessage(error: unknown): string {
  const cause = member(error, 'cause')
  return cause === undefined ? messageOf(error) : deepestMessage(cause)
}

/** True when the request may have been carried out although no answer says so: to be re-read, never repeated blindly. */
export function answerLost(error: unknown): boolean {
  const { status } = failureOf(error)
  return status === undefined || status >= 500
}

/** "Invalid request headers", "Authentication error", "Invalid API Token" (Cloudflare's API error codes). */
const TOKEN_CODES = [6003, 6111, 9106, 9109, 1000, 1001]
/** Authentication error for this resource: the token is known, but not for this. */
const RIGHT_CODES = [10000, 9103]

/** Cloudflare's answer as an error for people; `task` completes "could not …". */
export function cloudflareError(error: unknown, zone: string, task: string): MigrateError {
  if (error instanceof MigrateError) return error
  const { status, codes, text, retryAfter } = failureOf(error)
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
    const wait = retryAfter === undefined ? 'five minutes' : `${retryAfter} seconds`
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
    hint: 'The words are Cloudflare’s; search its API documentation for them. Run again when the cause is mended.',
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
