// One move by migrate in a process of its own, so that its memory can be measured. Argument: JSON; answer: JSON on the last line.
import '../small-young.ts'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../../src/base/clock.ts'
import { Secret } from '../../../src/base/secret.ts'
import { openFtp } from '../../../src/files/ftp/index.ts'
import type { FileHost } from '../../../src/files/port.ts'
import { openSftp } from '../../../src/files/sftp/index.ts'
import type { Step } from '../../../src/run/step.ts'
import { restoreFilesKind } from '../../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../../src/steps/snapshot-files.ts'
import { sideBySide, TestRun, testContext, testWorld } from '../../fakes/step-run.ts'
import { changeSome, type Data } from './data.ts'
import type { Remote } from './tools.ts'

export interface Asked {
  readonly old: Remote & { readonly fingerprint: string }
  readonly new: Remote & { readonly fingerprint: string }
  readonly keep: string
  readonly connections: number
  /** `together`: with restore-files beside snapshot-files, as a run does where they stand one after the other; `get` tells both. */
  readonly how: 'in turn' | 'together'
  /** Then once more with nothing changed, and once more with 1 % changed. `source`: where the old host's files lie here. */
  readonly again: { readonly source: string; readonly data: Data } | null
}

export interface Measured {
  /** Seconds of snapshot-files and of restore-files. */
  readonly get: number
  readonly put: number
  readonly unchanged: number | null
  readonly changed: number | null
  /** Bytes. */
  readonly mostMemory: number
  /** Seconds of the processor that this process took for all of it. */
  readonly processor: number
}

const asked: Asked = JSON.parse(process.argv[2] ?? '')

function open(at: Asked['old']): FileHost {
  const { address: host, port, user, root, fingerprint, login } = at
  const shared = { host, port, user, root, fingerprint, connections: asked.connections }
  if ('key' in login) return openSftp({ ...shared, key: login.key })
  return openFtp({ ...shared, password: new Secret(login.password), tls: 'explicit' })
}

const [old, fresh] = [open(asked.old), open(asked.new)]
const world = testWorld({ old: { files: old }, new: { files: fresh } })
const run = new TestRun(join(asked.keep, 'run'))
run.emit = () => undefined

async function perform(step: Step): Promise<number> {
  const begun = systemClock.monotonic()
  for (const change of await step.plan(run)) await step.apply(change, run)
  return (systemClock.monotonic() - begun) / 1000
}
const snapshot = (): Promise<number> =>
  perform(snapshotFilesKind.create(snapshotFilesKind.options.parse({}), testContext(world, 'snapshot-files')))
const restore = (): Promise<number> =>
  perform(restoreFilesKind.create(restoreFilesKind.options.parse({}), testContext(world, 'restore-files')))

/** As a run does it, which has asked the new host what it can do before the old one's files begin to come. */
async function together(): Promise<number> {
  const begun = systemClock.monotonic()
  await Promise.all([fresh.powers(), sideBySide(run, snapshot, restore)])
  return (systemClock.monotonic() - begun) / 1000
}

const [get, put] = asked.how === 'together' ? [await together(), 0] : [await snapshot(), await restore()]
let [unchanged, changed]: [number | null, number | null] = [null, null]
if (asked.again !== null) {
  // As with `migrate run --only snapshot-files`: the person wants another one.
  run.named = true
  unchanged = (await snapshot()) + (await restore())
  changeSome(asked.again.source, asked.again.data)
  changed = (await snapshot()) + (await restore())
}
await Promise.all([old.close(), fresh.close()])
const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
const processor = (userCPUTime + systemCPUTime) / 1e6
const measured: Measured = { get, put, unchanged, changed, mostMemory: maxRSS * 1024, processor }
rmSync(join(asked.keep, 'run'), { recursive: true, force: true })
console.log(JSON.stringify(measured))
