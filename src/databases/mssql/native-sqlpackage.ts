import type { TableName } from '../schema.ts'
import type { MssqlOptions } from './connection.ts'

/** "tcp:host,port" or "tcp:host\\instance": a server's name as ADO.NET takes it ("SqlConnection.ConnectionString", Data Source). */
const serverName = ({ host, port, instanceName }: MssqlOptions): string =>
  instanceName === undefined ? `tcp:${host},${port ?? 1433}` : `tcp:${host}\\${instanceName}`

/**
 * What keeps a password out of the response file, in words; `undefined` when nothing does. The file's words end at a quote or a line
 * end, and no way to write either is documented.
 */
export const unwritable = (password: string): string | undefined =>
  /["\r\n]/.test(password) ? 'a password with a quotation mark can’t be written into its response file' : undefined

/**
 * A response file ("SqlPackage.exe", general parameters, @{file-path}): an argument on each line. It holds the password, which as an
 * argument every account of this machine would see.
 */
export const responseFile = (args: readonly string[]): string => `${args.map(quotedArgument).join('\n')}\n`

/** In quotes where there is white space, as the documentation's examples have it: `/TargetFile:"C:\My files\shop.bacpac"`. */
const quotedArgument = (argument: string): string => {
  const [, name, value] = /^(\/p:[^=]+=|\/[^:]+:)(.*)$/s.exec(argument) ?? []
  return name === undefined || value === undefined || !/\s/.test(value) ? argument : `${name}"${value}"`
}

const connection = (side: 'Source' | 'Target', options: MssqlOptions): readonly string[] => [
  `/${side}ServerName:${serverName(options)}`,
  `/${side}DatabaseName:${options.database}`,
  `/${side}User:${options.user}`,
  ...(options.password === undefined ? [] : [`/${side}Password:${options.password.reveal()}`]),
  `/${side}EncryptConnection:${options.encrypt === 'strict' ? 'Strict' : options.encrypt === false ? 'False' : 'True'}`,
  `/${side}TrustServerCertificate:${options.trustServerCertificate === true ? 'True' : 'False'}`,
]

/**
 * "SqlPackage Export parameters and properties". `tables`: those whose rows are taken; empty for all. Definitions are always whole.
 */
export const exportArguments = (options: MssqlOptions, file: string, tables: readonly TableName[]): readonly string[] => [
  '/Action:Export',
  `/TargetFile:${file}`,
  ...connection('Source', options),
  '/OverwriteFiles:False',
  ...tables.map(({ schema, name }) => `/p:TableData=[${schema.replaceAll(']', ']]')}].[${name.replaceAll(']', ']]')}]`),
]

/** "SqlPackage Import parameters and properties": into a database that holds no objects of its own. */
export const importArguments = (options: MssqlOptions, file: string): readonly string[] => [
  '/Action:Import',
  `/SourceFile:${file}`,
  ...connection('Target', options),
]
