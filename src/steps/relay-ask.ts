import { messageOf } from '../base/errors.ts'
import type { StepRun } from '../run/step.ts'
import { ask, type HttpAnswer } from './http-exchange.ts'
import type { World } from './world.ts'

/** Answers that came by the relay carry it; requests that a relay passes on, too, so that none is passed on twice. */
export const MARKER = 'X-Migrate-Relay'

const ANSWER_MS = 10_000

/** What is wrong with an answer to a path: "answers / with status 500"; `undefined` when nothing is. */
export type Judge = (answer: HttpAnswer, path: string) => string | undefined

/**
 * Asks the old host for pages by its address, with the customers' name: what is wrong with the first that isn't as wanted.
 * `undefined` when all are, or when the playbook doesn't say where the old host answers.
 */
export async function wrongAmong(
  paths: readonly string[],
  { old, site }: World,
  judge: Judge,
  run: StepRun,
): Promise<string | undefined> {
  if (old.site === undefined) return undefined
  for (const path of paths) {
    const url = new URL(path, site ?? old.site)
    const question = { url, at: old.site, method: 'GET', headers: {}, body: undefined, timeoutMs: ANSWER_MS }
    const wrong = await ask(question, run.signal).then(
      (answer) => judge(answer, path),
      (error: unknown) => {
        run.signal.throwIfAborted()
        return `gives no answer to ${path} (${messageOf(error).replace(/\.$/, '')})`
      },
    )
    if (wrong !== undefined) return `The old site at ${old.site.host} ${wrong}.`
  }
  return undefined
}

/** The first words of a page, for a message. */
export function saying({ body }: HttpAnswer): string {
  const text = body
    .replace(/<(script|style)\b[\s\S]*?<\/\1>|<[^>]*>/gi, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 120)
  return text === '' ? '' : ` ("${text}")`
}
