import { z } from 'zod'
import { formatBytes } from '../../base/units.ts'
import type { Session } from './session.ts'

const fileRow = z.object({ size: z.string(), most: z.string(), growth: z.string(), used: z.string().nullable() })
export type DataFile = z.infer<typeof fileRow>

/** "sys.database_files": pages of 8 KiB; type 0 holds rows; max_size -1: until the disk is full; growth 0: never. */
const FILES = `SELECT CONVERT(nvarchar(20), f.size) AS [size], CONVERT(nvarchar(20), f.max_size) AS [most], CONVERT(nvarchar(20), f.growth) AS [growth],
  CONVERT(nvarchar(20), FILEPROPERTY(f.name, 'SpaceUsed')) AS [used]
FROM sys.database_files f WHERE f.type = 0`

const PAGE_BYTES = 8192
/** Less than this is none: a table grows by extents of 64 KiB, and several do. */
const LEAST_BYTES = 1024 * 1024

/** Why no row finds room in these files; `undefined` while one does, or nobody says. Pure. */
export function fullFiles(files: readonly DataFile[]): string | undefined {
  if (files.length === 0) return undefined
  let [used, allowed] = [0, 0]
  for (const file of files) {
    const grows = file.growth !== '0'
    if (file.used === null || (grows && file.most === '-1')) return undefined
    used += Number(file.used) * PAGE_BYTES
    allowed += Number(grows && file.most !== '0' ? file.most : file.size) * PAGE_BYTES
  }
  if (allowed - used >= LEAST_BYTES) return undefined
  return `its data files are full: ${formatBytes(used)} of the ${formatBytes(allowed)} that they may have`
}

const stateRow = z.object({ updateability: z.string().nullable() })

/** "DATABASEPROPERTYEX": READ_ONLY also on a secondary of an availability group. */
export async function refusesRows(session: Session): Promise<string | undefined> {
  const [state] = await session.ask(
    stateRow,
    "SELECT CONVERT(nvarchar(20), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) AS [updateability]",
  )
  if (state?.updateability === 'READ_ONLY') return 'it is read-only'
  return fullFiles(await session.ask(fileRow, FILES))
}
