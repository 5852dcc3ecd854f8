import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import type { Step } from '../../src/run/step.ts'
import { carryFilesBack, carryFilesKind } from '../../src/steps/carry-files.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { rewriteConfigKind } from '../../src/steps/rewrite-config.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import type { World } from '../../src/steps/world.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'

/** In memory where the system has that: fsync on a disk would be most of the time. */
const fastest = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** Whose answers tell how the old host is doing. */
interface Shop {
  readonly site?: URL
  readonly clock?: Clock
}

/** Two hosts in memory whose files were copied, and go on changing on both. */
export class Carrying {
  readonly old = new MemoryFiles('memory://old')
  readonly fresh = new MemoryFiles('memory://new')
  readonly run: TestRun
  readonly #world: World

  private constructor({ site, clock = systemClock }: Shop) {
    this.run = new TestRun(mkdtempSync(join(fastest, 'migrate-carry-')), clock)
    const old = { files: this.old, ...(site === undefined ? {} : { site }) }
    this.#world = testWorld({ old, new: { files: this.fresh } })
  }

  /** Files of both hosts, copied from the one to the other. */
  static async begin(files: Readonly<Record<string, string>>, snapshot: unknown = {}, shop: Shop = {}): Promise<Carrying> {
    const both = new Carrying(shop)
    for (const [path, text] of Object.entries(files)) both.old.put(path, text)
    await perform(snapshotFilesKind.create(snapshotFilesKind.options.parse(snapshot), both.#context('snapshot-files')), both.run)
    const restore = restoreFilesKind.create(restoreFilesKind.options.parse({}), both.#context('restore-files'))
    await perform(restore, both.run)
    await restore.verify(both.run)
    return both
  }

  /** As in a new process. */
  step(options: unknown = {}): Step {
    return carryFilesKind.create(carryFilesKind.options.parse(options), this.#context('carry-files'))
  }

  back(): Step {
    return carryFilesBack('carry-files-back', this.#world)
  }

  rewrite(options: unknown): Step {
    return rewriteConfigKind.create(rewriteConfigKind.options.parse(options), this.#context('rewrite-config'))
  }

  /** A whole pass; returns what was planned and found. */
  async pass(
    step: Step = this.step(),
  ): Promise<{ readonly planned: Awaited<ReturnType<typeof perform>>; readonly codes: readonly string[] }> {
    const planned = await perform(step, this.run)
    return { planned, codes: (await step.verify(this.run)).map(({ code }) => code) }
  }

  textOf(host: MemoryFiles, path: string): string | undefined {
    return host.nodes.get(path)?.bytes.toString()
  }

  end(): void {
    rmSync(this.run.directory, { recursive: true, force: true })
  }

  #context(id: string) {
    return testContext(this.#world, id)
  }
}
