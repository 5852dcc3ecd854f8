import type { Finding } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import type { AssetProbe, PageProbe, SiteProbe } from '../site/probe.ts'

export interface CompareOptions {
  readonly tolerance: number
  readonly expect?: { readonly status?: number | undefined; readonly contains?: string | undefined } | undefined
}

/** So many missing assets are named; of the rest, the count. */
const MOST_NAMED = 20
const FIRST_ERROR_STATUS = 400

const isBroken = (probe: { readonly status: number; readonly failure: unknown }): boolean =>
  probe.failure !== null || probe.status >= FIRST_ERROR_STATUS

const saysWhat = (probe: PageProbe | AssetProbe): string => probe.failure?.message ?? `status ${probe.status}`

const error = (code: string, message: string, hint: string): Finding => ({ severity: 'error', code, message, hint })
const warning = (code: string, message: string, hint: string): Finding => ({ severity: 'warning', code, message, hint })

/** What is different on the new host, as errors that name the URL; what is broken on both is a warning. Pure. */
export function compareProbes(old: SiteProbe, fresh: SiteProbe, options: CompareOptions): readonly Finding[] {
  const pages = fresh.pages.flatMap((page) => {
    const before = old.pages.find((each) => each.path === page.path)
    return before === undefined ? [] : comparePages(before, page, options)
  })
  return [...pages, ...compareAssets(old, fresh), ...boundFindings(fresh)]
}

function comparePages(old: PageProbe, fresh: PageProbe, options: CompareOptions): readonly Finding[] {
  const where = `${fresh.url} on the new host`
  if (fresh.failure !== null)
    return [{ severity: 'error', code: 'page-unanswered', message: fresh.failure.message, hint: fresh.failure.hint }]
  const findings = [...expected(fresh, where, options)]
  if (old.failure !== null) {
    findings.push(
      warning(
        'old-page-unanswered',
        `${old.failure.message} So there is nothing to compare the new host with.`,
        'Look at the page in a browser.',
      ),
    )
    if (isBroken(fresh))
      findings.push(
        error(
          'page-broken',
          `${where} answers with status ${fresh.status}.`,
          'Look at the web server’s error log on the new host.',
        ),
      )
    return findings
  }
  if (fresh.status !== old.status) {
    const better = isBroken(old) && !isBroken(fresh)
    const message = `${where} answers with status ${fresh.status}, the old host with ${old.status}.`
    findings.push(
      better
        ? warning('page-status-differs', message, 'Better than before; see that it is meant.')
        : error('page-status-differs', message, 'Look at the web server’s error log on the new host.'),
    )
    return findings
  }
  if (isBroken(fresh)) {
    findings.push(
      warning(
        'page-broken-on-both',
        `${fresh.url} answers with status ${fresh.status} on both hosts.`,
        'Is the path in the playbook right?',
      ),
    )
    return findings
  }
  return [...findings, ...contentFindings(old, fresh, where, options)]
}

function expected(page: PageProbe, where: string, { expect }: CompareOptions): readonly Finding[] {
  const findings: Finding[] = []
  if (expect?.status !== undefined && page.status !== expect.status) {
    findings.push(
      error(
        'page-unexpected',
        `${where} answers with status ${page.status}, not ${expect.status} as the playbook expects.`,
        'Mend the page, or the playbook.',
      ),
    )
  }
  if (expect?.contains !== undefined && !page.text.includes(expect.contains)) {
    findings.push(
      error(
        'page-unexpected',
        `${where} doesn't contain "${expect.contains}", which the playbook expects.`,
        'Mend the page, or the playbook.',
      ),
    )
  }
  return findings
}

function contentFindings(old: PageProbe, fresh: PageProbe, where: string, { tolerance }: CompareOptions): readonly Finding[] {
  const findings: Finding[] = []
  if (fresh.leavesTo !== old.leavesTo) {
    const to = (probe: PageProbe): string => (probe.leavesTo === null ? 'stays on the site' : `redirects to ${probe.leavesTo}`)
    findings.push(
      error(
        'page-redirect-differs',
        `${where} ${to(fresh)}; on the old host it ${to(old)}.`,
        'Correct the site’s address in its configuration on the new host.',
      ),
    )
  }
  if (fresh.title !== old.title) {
    findings.push(
      error(
        'page-title-differs',
        `${where} has the title "${fresh.title}", on the old host it is "${old.title}".`,
        'Is it the same site, and does it reach its database?',
      ),
    )
  }
  const difference = Math.abs(fresh.lengthBytes - old.lengthBytes)
  if (difference > tolerance * Math.max(old.lengthBytes, fresh.lengthBytes)) {
    const message = `${where} has ${formatBytes(fresh.lengthBytes)}, on the old host ${formatBytes(old.lengthBytes)}.`
    findings.push(
      error('page-length-differs', message, 'Compare the two in a browser; if the difference is meant, raise `tolerance`.'),
    )
  }
  return findings
}

function compareAssets(old: SiteProbe, fresh: SiteProbe): readonly Finding[] {
  const before = new Map(old.assets.map((asset) => [asset.url, asset]))
  const missing: string[] = []
  const brokenOnBoth: string[] = []
  for (const asset of fresh.assets) {
    const was = before.get(asset.url)
    const fault = faultOf(asset, was)
    if (fault === undefined) continue
    const text = `${asset.url} (${fault}, seen on ${asset.seenOn})`
    if (was !== undefined && isBroken(was)) brokenOnBoth.push(text)
    else missing.push(text)
  }
  return [
    ...listed(missing, (text, count) =>
      error(
        'asset-missing',
        `${count} of ${fresh.assets.length} assets missing on the new host: ${text}`,
        'Copy these files to the new host (restore-files), and see that names match in upper and lower case.',
      ),
    ),
    ...listed(brokenOnBoth, (text, count) =>
      warning(
        'asset-missing-on-both',
        `${count} assets missing on both hosts: ${text}`,
        'They were broken before; no fault of the migration.',
      ),
    ),
  ]
}

function faultOf(asset: AssetProbe, was: AssetProbe | undefined): string | undefined {
  if (isBroken(asset)) return saysWhat(asset)
  if (was === undefined || isBroken(was)) return undefined
  // Many sites answer a missing picture with a friendly page and status 200.
  if (/html/i.test(asset.contentType) && !/html/i.test(was.contentType))
    return `a web page instead of ${was.contentType || 'the file'}`
  return asset.lengthBytes === 0 && was.lengthBytes > 0 ? `empty, ${formatBytes(was.lengthBytes)} on the old host` : undefined
}

function listed(items: readonly string[], make: (text: string, count: number) => Finding): readonly Finding[] {
  if (items.length === 0) return []
  const rest = items.length - MOST_NAMED
  return [make(`${items.slice(0, MOST_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}.`, items.length)]
}

const boundFindings = (probe: SiteProbe): readonly Finding[] =>
  probe.unasked === 0
    ? []
    : [
        warning(
          'assets-unasked',
          `${probe.unasked} further assets were not asked for: the pages have more than one probe should ask.`,
          'Give fewer paths in one smoke-test step.',
        ),
      ]

/** What is broken on the old host already, as warnings: the baseline that customers know. */
export function oldHostFindings(probe: SiteProbe, host: URL): readonly Finding[] {
  const pages = probe.pages
    .filter(isBroken)
    .map((page) =>
      warning(
        'old-page-broken',
        `The old host (${host.host}) fails on ${page.url}: ${saysWhat(page)}`,
        'Customers see this now. If the path is wrong, correct the playbook.',
      ),
    )
  const assets = probe.assets.filter(isBroken).map((asset) => `${asset.url} (${saysWhat(asset)}, seen on ${asset.seenOn})`)
  return [
    ...pages,
    ...listed(assets, (text, count) =>
      warning(
        'old-asset-missing',
        `${count} of ${probe.assets.length} assets missing on the old host: ${text}`,
        'Customers see this now: a host that is overloaded drops pictures first.',
      ),
    ),
    ...boundFindings(probe),
  ]
}
