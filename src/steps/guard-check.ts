import { type Finding, MigrateError } from '../base/errors.ts'
import type { StepRun } from '../run/step.ts'
import { gather } from './database-parts.ts'
import { missingDns } from './dns-change.ts'
import type { GuardOptions } from './guard-options.ts'
import { HostsWatch } from './guard-sight.ts'
import { ask } from './http-exchange.ts'
import type { StepContext, World } from './world.ts'

/** What the guard couldn't see, and what would keep it from going back. */
export async function guardChecks(options: GuardOptions, { world }: StepContext, run: StepRun): Promise<readonly Finding[]> {
  if (options.resolvers !== undefined) world.resolvers(options.resolvers)
  return gather(
    async () => whatIsUnseen(options, world),
    () => unfitPages(options, world, run),
    () => (options.failback === 'auto' ? whatHinders(world) : Promise.resolve([])),
  )
}

function whatIsUnseen(options: GuardOptions, world: World): readonly Finding[] {
  const { watched, old } = new HostsWatch(options, world, false)
  const blind: Finding = {
    severity: 'warning',
    code: 'guard-blind',
    message: 'The playbook gives neither new.site nor new.database: the guard has nothing to look at.',
    hint: 'Add new.site: https://198.51.100.20, where the new host answers without DNS.',
  }
  const noWay: Finding = {
    severity: 'warning',
    code: 'failback-blind',
    message:
      'The playbook gives neither old.site nor old.database: whether the old host can take customers back can’t be seen, so the guard never goes back to it.',
    hint: 'Add old.site: https://203.0.113.10, where the old host answers without DNS.',
  }
  return [
    ...(watched.some((part) => part === 'site' || part === 'database') ? [] : [blind]),
    ...(options.failback === 'off' || old.watched.some((part) => part !== 'storage') ? [] : [noWay]),
  ]
}

/** A page that the old host doesn't give either says nothing of the new one. */
async function unfitPages(
  { paths, contains, answer }: GuardOptions,
  { old, new: fresh, site }: World,
  run: StepRun,
): Promise<readonly Finding[]> {
  if (old.site === undefined || fresh.site === undefined) return []
  const findings: Finding[] = []
  for (const path of paths) {
    const url = new URL(path, site ?? old.site)
    const question = { url, at: old.site, method: 'GET', headers: {}, body: undefined, timeoutMs: answer }
    const given = await ask(question, run.signal).catch((error: unknown) => {
      run.signal.throwIfAborted()
      // An old host that gives no answer at all is told by other steps.
      if (error instanceof MigrateError) return undefined
      throw error
    })
    if (given === undefined) continue
    if (given.status >= 400) findings.push(unfit(path, `answers ${path} with status ${given.status}`))
    else if (contains !== undefined && given.status < 300 && !given.body.includes(contains))
      findings.push(unfit(path, `answers ${path} without "${contains}"`))
  }
  return findings
}

const unfit = (path: string, how: string): Finding => ({
  severity: 'warning',
  code: 'guard-page-unfit',
  message: `The old host ${how}: by ${path} the guard would take it for unfit to take customers back, and the new one, if it does the same, for failing.`,
  hint: 'Give pages that both hosts answer to everybody: guard: { paths: ["/"] }.',
})

async function whatHinders({ dns, old, new: fresh }: World): Promise<readonly Finding[]> {
  if (dns === undefined) return [missingDns('guard: { failback: auto }')]
  const byHand: Finding = {
    severity: 'warning',
    code: 'failback-by-hand',
    message:
      'DNS is changed by a person here, so the guard can’t send customers back by itself: it tells what to change, and waits.',
    hint: 'Be in reach after the cutover, or use a provider that can be told.',
  }
  const carries = old.database !== undefined && fresh.database !== undefined
  const missing = carries ? ((await old.database?.missingRights('write')) ?? []) : []
  return [
    ...(dns.provider.manual ? [byHand] : []),
    ...missing.map(
      (finding): Finding => ({
        ...finding,
        severity: 'warning',
        message: `Going back, orders couldn’t be carried to the old host: ${finding.message}`,
      }),
    ),
  ]
}
