import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import type { NativePower } from '../../src/databases/native-port.ts'
import type { Database } from '../../src/databases/port.ts'
import { bindingOf, loadPlaybook, type Playbook } from '../../src/playbook/index.ts'
import { BEFORE_KEY, REPLACED_KEY } from '../../src/steps/restore-method.ts'
import type { World } from '../../src/steps/world.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { testWorld } from '../fakes/step-run.ts'

const NAME = 'new.database identity'

/** A database that says it is `fingerprint`, and is replaced as a whole when it is restored. */
function calling(fingerprint: string, replaces: boolean): Database {
  const database = new MemoryShop().open()
  const native: NativePower = {
    replaces,
    tools: async () => ({ tool: null, format: null, reason: '', findings: [] }),
    save: async () => ({ consistent: true, rows: null, place: 'server' }),
    restore: async () => undefined,
    discard: async () => undefined,
  }
  return Object.assign(Object.create(database), { native, info: async () => ({ ...(await database.info()), fingerprint }) })
}

describe('a run whose restore replaced the new database', () => {
  let folder = ''
  let playbook: Playbook
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-binding-'))
    const file = join(folder, 'shop.yml')
    await writeFile(
      file,
      'name: shop\nold:\n  database: mssql://shop@old.example.com/shop\nnew:\n  database: mssql://shop@new.example.com/shop\nsteps:\n  - check\n',
    )
    playbook = await loadPlaybook(file, {})
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  const worldOf = (fingerprint: string, replaces = true): World =>
    testWorld({ new: { database: calling(fingerprint, replaces) } })
  const identity = async (world: World, facts: Readonly<Record<string, Json>>) =>
    (await bindingOf(playbook, world, { [NAME]: 'first' }, (key) => facts[key])).endpoints[NAME]

  it('goes on with the database that its restore made', async () => {
    expect(await identity(worldOf('second'), { [BEFORE_KEY]: [], [REPLACED_KEY]: 'second' })).toBe('first')
  })

  it('goes on when it was cut off before it could tell which that is', async () => {
    expect(await identity(worldOf('second'), { [BEFORE_KEY]: [] })).toBe('first')
  })

  it('stops at any other', async () => {
    expect(await identity(worldOf('third'), { [BEFORE_KEY]: [], [REPLACED_KEY]: 'second' })).toBe('third')
    expect(await identity(worldOf('second'), {})).toBe('second')
    expect(await identity(worldOf('second', false), { [BEFORE_KEY]: [] })).toBe('second')
  })
})
