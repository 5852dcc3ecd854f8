import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { Step, StepRun } from '../run/step.ts'
import { ask, type HttpAnswer, type HttpQuestion } from './http-exchange.ts'
import { durationMs } from './options.ts'
import { missingPart, type StepContext, type StepKind, type World } from './world.ts'

const status = z.int().min(100).max(599)
const optionsSchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: 'must be a URL with http:// or https://' })
      .optional()
      .describe('A whole address'),
    path: z.string().startsWith('/', { error: 'must begin with /' }).optional().describe("A path of the customers' site"),
    on: z.enum(['old', 'new', 'public']).default('public').describe('Which host is asked; public: where DNS leads'),
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).default('GET'),
    headers: z.record(z.string(), z.string()).default({}),
    body: z.string().optional(),
    expect: z
      .strictObject({
        status: z
          .union([status, z.array(status).min(1)])
          .optional()
          .describe('200 to 299 when absent'),
        contains: z.string().min(1).optional().describe('Text of the answer'),
        headers: z.record(z.string(), z.string()).optional().describe('Headers of the answer, by name'),
      })
      .prefault({}),
    timeout: durationMs.prefault('30s'),
    retries: z.int().min(0).max(100).default(0).describe('Further tries when the answer is not the expected one'),
    pause: durationMs.prefault('2s').describe('Between two tries'),
    repeatable: z
      .boolean()
      .optional()
      .describe('May be asked again when it is not known whether it took effect; GET and HEAD may'),
  })
  .refine((options) => (options.url === undefined) !== (options.path === undefined), {
    error: 'give either url or path',
    path: ['url'],
  })
type Options = z.infer<typeof optionsSchema>

/** Headers, body and query may hold a secret: the journal knows the request by its hash. */
const changeSchema = z.object({ method: z.string(), on: z.string(), requestSha256: z.string() }).readonly()
type Change = z.infer<typeof changeSchema>

export const httpKind: StepKind<Options> = {
  name: 'http',
  summary: 'Send an HTTP request and see that the answer is the expected one',
  options: optionsSchema,
  create: httpStep,
}

const isReading = (options: Options): boolean => options.repeatable ?? ['GET', 'HEAD', 'OPTIONS'].includes(options.method)

function httpStep(options: Options, { id, world }: StepContext): Step<Change> {
  const { url, path, method, on, headers, body } = options
  const shown = `${method} ${url === undefined ? (path ?? '') : withoutQuery(url)}${on === 'public' ? '' : ` on the ${on} host`}`
  const request = JSON.stringify([url, path, method, on, headers, body ?? null])
  const change: Change = { method, on, requestSha256: createHash('sha256').update(request).digest('hex') }
  let cutOff = false
  const step: Step<Change> = {
    id,
    title: `Ask ${shown}`,
    phase: 'settle',
    change: changeSchema,
    check: async () => missingParts(id, options, world),
    plan: async (run) => {
      const history = run.history(change)
      cutOff = history === 'begun'
      return history === 'applied' ? [] : [change]
    },
    apply: async (_change, run) => {
      if (cutOff && !isReading(options) && !(await askAgain(id, shown, run))) return
      cutOff = false
      await askUntilExpected(id, shown, options, world, run)
    },
    verify: async () => [],
    describe: () => shown,
  }
  // What only reads leaves nothing to take back.
  return isReading(options) && options.repeatable === undefined ? { ...step, undo: async () => undefined } : step
}

function missingParts(id: string, { path, on }: Options, world: World): readonly Finding[] {
  const findings: Finding[] = []
  if (path !== undefined && world.site === undefined) findings.push(missingPart(id, 'site', 'site: https://shop.example'))
  if (on !== 'public' && world[on].site === undefined)
    findings.push(missingPart(id, `${on}.site`, `${on}: { site: https://203.0.113.10 }`))
  return findings
}

const askAgain = (id: string, shown: string, run: StepRun): Promise<boolean> =>
  run.confirm(
    `${id} was cut off while it sent ${shown}, or the answer was not the expected one; it may have taken effect. Send it again?`,
    'Say no if it took effect: the run then goes on after it.',
  )

function questionOf(options: Options, world: World): HttpQuestion {
  const { url, path, on, method, headers, body, timeout } = options
  const target = url ?? (world.site === undefined ? undefined : new URL(path ?? '/', world.site).href)
  if (target === undefined) {
    throw new MigrateError('playbook-part-missing', 'The playbook gives no site: a path means nothing without it.', {
      hint: 'Add it: site: https://shop.example',
    })
  }
  const at = on === 'public' ? undefined : world[on].site
  return { url: new URL(target), at, method, headers, body, timeoutMs: timeout }
}

/** What is not as expected, in words; `undefined` when all is. */
function mismatch({ expect }: Options, answer: HttpAnswer): string | undefined {
  const statuses = expect.status === undefined ? undefined : [expect.status].flat()
  const statusFits = statuses?.includes(answer.status) ?? (answer.status >= 200 && answer.status <= 299)
  if (!statusFits) return `answered ${answer.status}, not ${statuses?.join(' or ') ?? '200 to 299'}`
  for (const [name, value] of Object.entries(expect.headers ?? {})) {
    const got = answer.headers[name.toLowerCase()]
    if (got !== value)
      return `answered with ${got === undefined ? `no header ${name}` : `${name}: ${got}`}, not ${name}: ${value}`
  }
  if (expect.contains !== undefined && !answer.body.includes(expect.contains)) return `answered without "${expect.contains}"`
  return undefined
}

async function askUntilExpected(id: string, shown: string, options: Options, world: World, run: StepRun): Promise<void> {
  const question = questionOf(options, world)
  for (let attempt = 0; ; attempt += 1) {
    const failure = await tryOnce(id, shown, options, world, question, run)
    if (failure === undefined) return
    if (attempt >= options.retries) throw failure
    run.emit({ event: 'note', message: `${failure.message} Asking again in ${formatDuration(options.pause)}.` })
    await run.clock.sleep(options.pause, run.signal)
  }
}

async function tryOnce(
  id: string,
  shown: string,
  options: Options,
  world: World,
  question: HttpQuestion,
  run: StepRun,
): Promise<MigrateError | undefined> {
  try {
    const answer = await world.effects(`http: ${id}`, () => ask(question, run.signal))
    const wrong = mismatch(options, answer)
    if (wrong === undefined) return undefined
    return new MigrateError('http-unexpected', `${shown} ${wrong}.`, {
      hint: 'Look at the page in a browser and at the web server’s log; mend it, or correct `expect` in the playbook.',
    })
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'http-unreachable') return error
    throw error
  }
}

const withoutQuery = (url: string): string => {
  const { origin, pathname, search } = new URL(url)
  return `${origin}${pathname}${search === '' ? '' : '?…'}`
}
