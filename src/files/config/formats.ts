import type { ConfigFormat } from './config.ts'
import { envFormat } from './env.ts'
import { iniFormat } from './ini.ts'
import { jsonFormat } from './json.ts'
import { phpFormat } from './php.ts'
import { propertiesFormat } from './properties.ts'
import { appSettingsFormat, connectionStringsFormat, xmlFormat } from './xml.ts'
import { yamlFormat } from './yaml.ts'

/** The formats by the keys under which a playbook gives settings. */
export const CONFIG_FORMATS = {
  connectionStrings: connectionStringsFormat,
  appSettings: appSettingsFormat,
  xml: xmlFormat,
  json: jsonFormat,
  env: envFormat,
  php: phpFormat,
  yaml: yamlFormat,
  ini: iniFormat,
  properties: propertiesFormat,
} as const satisfies Readonly<Record<string, ConfigFormat>>

export type FormatKey = keyof typeof CONFIG_FORMATS

export const FORMAT_KEYS = [
  'connectionStrings',
  'appSettings',
  'xml',
  'json',
  'env',
  'php',
  'yaml',
  'ini',
  'properties',
] as const satisfies readonly FormatKey[]
