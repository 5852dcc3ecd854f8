import { fileURLToPath } from 'node:url'
import { Connections } from '../../src/databases/mssql/connection.ts'
import { quoteName } from '../../src/databases/mssql/names.ts'
import {
  connectTestMssql,
  connectThrough,
  MSSQL_URL,
  mssqlTitle,
  optionsFor,
  reachOf,
  type TestMssql,
  VARIABLE,
  works,
} from './mssql.ts'
import { hasRecording, startRecorder, startReplay } from './tds-recording.ts'

/** Set beside it, the suites that can be played back are recorded on that server. */
const RECORD = 'MIGRATE_TEST_MSSQL_RECORD'

/** Where a suite's server comes from: a real one (perhaps recorded on the way), or what was recorded of one. */
export interface MssqlSuite {
  /** The suite's title; with the reason in it when the suite is skipped. */
  title(name: string): string
  readonly skipped: boolean
  /** True when it is recorded or played back: what hangs on time (cuts, locks that are waited for) is then left out, by name. */
  readonly recorded: boolean
  connect(): Promise<TestMssql>
}

/** A suite that runs on a real server where there is one, and otherwise on what was recorded of it under `name`. */
export function mssqlSuite(name: string): MssqlSuite {
  const file = fileURLToPath(new URL(`../recordings/mssql-${name}.tds.zst`, import.meta.url))
  const how = `Record it anew: ${RECORD}=1 ${VARIABLE}=mssql://user:password@host:port/ npm test -- FILE`
  const address = MSSQL_URL
  if (address !== undefined) {
    const recorded = process.env[RECORD] !== undefined
    const connect = recorded ? () => connectRecording(address, name, file) : connectTestMssql
    return { title: (text) => text, skipped: false, recorded, connect }
  }
  if (hasRecording(file)) {
    return {
      title: (text) => `${text}, as recorded`,
      skipped: false,
      recorded: true,
      connect: () => connectReplay(name, file, how),
    }
  }
  return { title: mssqlTitle, skipped: true, recorded: false, connect: connectTestMssql }
}

let connectedSuites = 0

/** Names that are the same each time. */
function namesOf(suite: string): (prefix: string) => string {
  connectedSuites += 1
  const start = `${suite}_${connectedSuites}`
  let made = 0
  return (prefix) => {
    made += 1
    return `${prefix}_${start}_${made}`
  }
}

async function connectRecording(address: string, suite: string, file: string): Promise<TestMssql> {
  const direct = { ...reachOf(address), encrypt: false }
  const nameOf = namesOf(suite)
  const recorder = await startRecorder(direct, direct.owner, fileOf(file))
  const cleaner = new Connections({ ...optionsFor(direct, 'master', direct.owner), connections: 2 })
  return await connectThrough({
    ...direct,
    host: recorder.host,
    port: recorder.port,
    nameOf,
    makeRoom: async (name) => {
      for (const kind of ['DATABASE', 'LOGIN']) await cleaner.use((session) => works(session, `DROP ${kind} ${quoteName(name)}`))
    },
    close: async () => {
      await cleaner.close()
      await recorder.close()
    },
  })
}

async function connectReplay(suite: string, file: string, how: string): Promise<TestMssql> {
  const nameOf = namesOf(suite)
  const replay = await startReplay(fileOf(file), how)
  return await connectThrough({ ...replay, encrypt: false, nameOf, makeRoom: async () => undefined })
}

/** A suite may connect several times; each has a recording of its own. */
const fileOf = (file: string): string =>
  file.replace(/\.tds\.zst$/, `${connectedSuites === 1 ? '' : `-${connectedSuites}`}.tds.zst`)
