import type { Finding } from '../../base/errors.ts'
import type { ServerInfo } from '../port.ts'
import { roomConsequences } from './room.ts'
import { AZURE, EXPRESS, fact, settingConsequences, warning } from './settings.ts'

/** As AZURE and EXPRESS (settings.ts). */
const STANDARD = '2'
const AZURE_DATABASE = '5'

/** What T-SQL gained with each release, by its first number ("What's new in SQL Server"): code that uses it fails on an earlier one. */
const GAINED: readonly (readonly [major: number, name: string, features: string])[] = [
  [12, 'SQL Server 2014', 'memory-optimized tables, clustered columnstore indexes, indexes within CREATE TABLE and table types'],
  [13, 'SQL Server 2016', 'JSON functions, STRING_SPLIT, DROP … IF EXISTS, CREATE OR ALTER, temporal tables, row-level security'],
  [14, 'SQL Server 2017', 'STRING_AGG, TRIM, TRANSLATE, CONCAT_WS, graph tables'],
  [15, 'SQL Server 2019', 'UTF-8 collations, APPROX_COUNT_DISTINCT'],
  [16, 'SQL Server 2022', 'GREATEST, LEAST, GENERATE_SERIES, DATE_BUCKET, DATETRUNC, ordered STRING_SPLIT, IS DISTINCT FROM'],
  [17, 'SQL Server 2025', 'the types json and vector, regular expressions'],
]

const isAzure = (info: ServerInfo): boolean => AZURE.includes(fact(info, 'engineEdition'))

/** What an older release, a lesser edition or other settings of the new host's server mean. Pure. */
export const consequences = (source: ServerInfo, target: ServerInfo): readonly Finding[] => [
  ...olderRelease(source, target),
  ...lowerCompatibility(source, target),
  ...lesserEdition(source, target),
  ...roomConsequences(source, target),
  ...azureDatabase(source, target),
  ...settingConsequences(source, target),
]

function olderRelease(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from = 0, to = 0] = [source.version[0], target.version[0]]
  if (isAzure(target) || (!isAzure(source) && from <= to)) return []
  const missing = GAINED.filter(([major]) => major > to && (isAzure(source) || major <= from))
  if (missing.length === 0) return []
  return [
    warning(
      'older-release',
      `The new host's ${target.product} is older. It lacks, if the shop uses them: ${missing.map(([, name, features]) => `${features} (${name})`).join('; ')}. A backup of the old database can't be restored there; rows are copied one by one.`,
      'Views, functions and procedures that use these fail to be created or to run: look at them first, or ask for a newer server.',
    ),
  ]
}

function lowerCompatibility(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [Number(fact(source, 'compatibility')), Number(fact(target, 'compatibility'))]
  if (!(from > 0 && to > 0) || from === to) return []
  const lower = to < from
  return [
    {
      severity: lower ? 'warning' : 'info',
      code: 'compatibility-differs',
      message: `The old database has compatibility level ${from}, the new one ${to}: ${lower ? 'what the shop’s statements gained with the higher level fails there, and ' : ''}plans of queries may differ.`,
      hint: `ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = ${from}; on the new host, where it allows that.`,
    },
  ]
}

function lesserEdition(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [fact(source, 'engineEdition'), fact(target, 'engineEdition')]
  const findings: Finding[] = []
  const beforeSp1 = (target.version[0] ?? 0) < 13 || ((target.version[0] ?? 0) === 13 && (target.version[2] ?? 0) < 4001)
  if ((to === STANDARD || to === EXPRESS) && to !== from && beforeSp1 && !isAzure(target)) {
    findings.push(
      warning(
        'lesser-edition',
        `The new host has ${fact(target, 'edition')} of a release before SQL Server 2016 SP1: it has no columnstore indexes, partitions, compression or change data capture.`,
        'Drop such indexes on the old host or ask for another server; otherwise they fail to be created after the rows are loaded.',
      ),
    )
  }
  return findings
}

const azureDatabase = (source: ServerInfo, target: ServerInfo): readonly Finding[] =>
  fact(target, 'engineEdition') !== AZURE_DATABASE || fact(source, 'engineEdition') === AZURE_DATABASE
    ? []
    : [
        warning(
          'azure-database',
          'The new database is an Azure SQL Database: it has no USE, no other databases or linked servers, no SQL Server Agent and no CLR.',
          'Look for those in the shop’s procedures and jobs before the cutover.',
        ),
      ]
