import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import {
  isAlias,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import { codeOf } from '../base/errors.ts'
import { Redactor, Secret } from '../base/secret.ts'
import { type FilledPiece, type Path, type Position, Source, type Value } from './source.ts'
import { looksSecret, type Piece, pieces } from './variables.ts'

/** Parts that aliases may add to a playbook; a file that needs more is a bomb, not a playbook. */
const ALIAS_PARTS = 10_000
const FILE_BYTES = 1024 * 1024

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder of the playbook, absolute: `${file:PATH}` starts here. */
  readonly directory: string
  /** Every value is the text that stands there, digit by digit, and `${…}` means nothing: for keys of rows. */
  readonly asWritten?: boolean
}

export interface ReadDocument {
  readonly source: Source
  /** `undefined` when the YAML itself is broken. */
  readonly value: Value | undefined
  /** The same with every `${…}` as written: for what is kept on disk. */
  readonly raw: Value
  /** Knows the values of variables and files whose names say that they are secret. */
  readonly redactor: Redactor
}

/** YAML 1.2 text → plain data with positions, `${…}` filled in. Complaints are collected in `source`, none is thrown. */
export function readDocument(text: string, surroundings: Surroundings): ReadDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    version: '1.2',
    ...(surroundings.asWritten === true ? { schema: 'failsafe' as const } : {}),
    logLevel: 'error',
  })
  const walk = new Walk(text, lines, surroundings)
  const faults = [...document.errors, ...document.warnings]
  for (const fault of withoutEchoes(faults)) walk.yamlFault(fault)
  if (faults.length > 0) return { source: walk.source, value: undefined, raw: null, redactor: walk.redactor }
  const both = document.contents === null ? { value: null, raw: null } : walk.node(document.contents, [], undefined)
  return { source: walk.source, ...both, redactor: walk.redactor }
}

/** Once the parser has lost its way, every further token is out of place; only the first says something. */
const withoutEchoes = (faults: readonly YAMLError[]): readonly YAMLError[] => {
  const tab = faults.find(({ code }) => code === 'TAB_AS_INDENT')
  return faults.filter(
    (fault, index) =>
      (index === 0 || fault.code !== 'UNEXPECTED_TOKEN') && (tab === undefined || fault === tab || !INDENTATION.has(fault.code)),
  )
}

/** What one tab brings with it, there and in the lines that follow. */
const INDENTATION: ReadonlySet<string> = new Set(['TAB_AS_INDENT', 'BAD_INDENT'])

interface Both {
  readonly value: Value
  readonly raw: Value
}

class Walk {
  readonly source = new Source()
  readonly redactor = new Redactor()
  readonly #text: string
  readonly #lines: LineCounter
  readonly #surroundings: Surroundings
  readonly #anchors = new Map<string, ParsedNode>()
  readonly #open = new Set<ParsedNode>()
  #aliasDepth = 0
  #aliasParts = 0

  constructor(text: string, lines: LineCounter, surroundings: Surroundings) {
    this.#text = text
    this.#lines = lines
    this.#surroundings = surroundings
  }

  /** The library's own words may quote the file, and with it a secret; ours don't. */
  yamlFault(fault: YAMLError): void {
    const [message, hint] = YAML_FAULTS[fault.code] ?? NOT_YAML
    const line = this.#text.slice(this.#text.lastIndexOf('\n', fault.pos[0] - 1) + 1).split('\n', 1)[0] ?? ''
    this.source.complainAt(this.#position(fault.pos[0]), message, hasBareVariable(line) ? UNQUOTED_HINT : hint)
  }

  node(node: ParsedNode, path: Path, key: Position | undefined): Both {
    const value = this.#position(node.range[0])
    if (isAlias(node)) return this.#alias(node.source, path, key, value)
    if (this.#aliasDepth > 0) this.#aliasParts += 1
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
    if (isScalar(node)) return this.#scalar(node, path, key)
    this.source.enter(path, { key, value, broken: false })
    this.#open.add(node)
    const result = isSeq(node) ? this.#list(node.items, path) : this.#map(node, path)
    this.#open.delete(node)
    return result
  }

  #alias(anchor: string, path: Path, key: Position | undefined, value: Position): Both {
    const nothing = (message: string, hint: string): Both => {
      this.source.enter(path, { key, value, broken: true })
      this.source.complainAt(value, message, hint)
      return { value: null, raw: null }
    }
    const target = this.#anchors.get(anchor)
    if (target === undefined) {
      return nothing(
        'This alias (a value that begins with *) has no anchor before it.',
        'If it is meant as text, put it in quotes.',
      )
    }
    if (this.#open.has(target)) return nothing('This alias stands inside its own anchor.', 'Write the value out instead.')
    if (this.#aliasParts > ALIAS_PARTS)
      return nothing('Aliases make this playbook too large to be read.', 'Write the values out instead.')
    this.#aliasDepth += 1
    const both = this.node(target, path, key)
    this.#aliasDepth -= 1
    const entry = this.source.entry(path)
    if (entry) this.source.enter(path, { ...entry, value })
    return both
  }

  #list(items: readonly ParsedNode[], path: Path): Both {
    const parts = items.map((item, index) => this.node(item, [...path, index], undefined))
    return { value: parts.map((part) => part.value), raw: parts.map((part) => part.raw) }
  }

  #map(map: YAMLMap.Parsed, path: Path): Both {
    const values = new Map<string, Value>()
    const raws = new Map<string, Value>()
    for (const pair of map.items) {
      const at = this.#position(pair.key?.range[0] ?? map.range[0])
      if (!isScalar(pair.key) || pair.key.value === null) {
        this.source.complainAt(
          at,
          'A key must be plain text.',
          'Write  key: value  and put the key in quotes if it has special characters.',
        )
        continue
      }
      const written = typeof pair.key.value === 'string' ? pair.key.value : (pair.key.source ?? String(pair.key.value))
      const filled = this.#fill(written, pair.key)
      const name = filled.text
      if (values.has(name)) {
        this.source.complainAt(at, `The key "${written}" stands here twice.`, 'Keep one of the two.')
        continue
      }
      const child = [...path, name]
      if (filled.pieces.some((piece) => !piece.literal)) this.source.hideKey(child)
      const both = pair.value === null ? { value: null, raw: null } : this.node(pair.value, child, at)
      if (pair.value === null) this.source.enter(child, { key: at, value: at, broken: false })
      values.set(name, both.value)
      raws.set(written, both.raw)
    }
    return { value: Object.fromEntries(values), raw: Object.fromEntries(raws) }
  }

  #scalar(node: Scalar.Parsed, path: Path, key: Position | undefined): Both {
    const position = this.#position(node.range[0])
    const plain = scalarValue(node.value)
    if (typeof plain !== 'string') {
      this.source.enter(path, { key, value: plain === null ? (key ?? position) : position, broken: false })
      return { value: plain, raw: plain }
    }
    const filled = this.#fill(plain, node)
    const literal = filled.pieces.every((piece) => piece.literal)
    const entry = { key, value: position, broken: filled.broken, raw: plain }
    this.source.enter(path, literal ? entry : { ...entry, pieces: filled.pieces })
    return { value: filled.text, raw: plain }
  }

  #fill(
    text: string,
    node: Scalar.Parsed,
  ): { readonly text: string; readonly pieces: readonly FilledPiece[]; readonly broken: boolean } {
    const parts: readonly Piece[] = this.#surroundings.asWritten === true ? [{ kind: 'text', text }] : pieces(text)
    const search = { from: node.range[0] }
    const filled = parts.map((piece): FilledPiece | undefined => {
      if (piece.kind === 'text') return { text: piece.text, literal: true }
      const value = this.#placeholder(piece, this.#find(piece, search, node))
      return value === undefined ? undefined : { text: value, literal: false }
    })
    const known = filled.filter((piece) => piece !== undefined)
    const broken = known.length < filled.length
    // What can't be filled in gets some text, so that nothing but the missing variable is complained of.
    return { text: broken ? 'unset' : known.map((piece) => piece.text).join(''), pieces: known, broken }
  }

  /** Where a placeholder stands in the file: its text is looked for from the last one on. */
  #find(piece: Exclude<Piece, { kind: 'text' }>, search: { from: number }, node: Scalar.Parsed): Position {
    const written =
      piece.kind === 'variable' ? `\${${piece.name}}` : piece.kind === 'file' ? `\${file:${piece.path}}` : piece.text
    const offset = this.#text.indexOf(written, search.from)
    if (offset < 0 || offset >= node.range[1]) return this.#position(node.range[0])
    search.from = offset + written.length
    return this.#position(offset)
  }

  #placeholder(piece: Exclude<Piece, { kind: 'text' }>, at: Position): string | undefined {
    if (piece.kind === 'malformed') {
      this.source.complainAt(
        at,
        `This is neither \${NAME} nor \${file:PATH}.`,
        `NAME has letters, digits and _ only. For the characters \${ themselves, write $\${.`,
      )
      return undefined
    }
    return piece.kind === 'variable' ? this.#variable(piece.name, at) : this.#file(piece.path, at)
  }

  #variable(name: string, at: Position): string | undefined {
    const value = Object.hasOwn(this.#surroundings.env, name) ? this.#surroundings.env[name] : undefined
    if (value === undefined || value === '') {
      const state = value === undefined ? 'not set' : 'empty'
      this.source.complainAt(
        at,
        `The environment variable ${name} is ${state}.`,
        `Set it before you start migrate: export ${name}=…`,
      )
      return undefined
    }
    if (looksSecret(name)) this.redactor.add(new Secret(value))
    return value
  }

  #file(path: string, at: Position): string | undefined {
    const result = readSmall(isAbsolute(path) ? path : join(this.#surroundings.directory, path))
    if ('fault' in result) {
      this.source.complainAt(at, `The file ${path} ${result.fault}.`, 'The path starts at the folder of the playbook.')
      return undefined
    }
    if (looksSecret(path)) this.redactor.add(new Secret(result.content))
    return result.content
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
}

function readSmall(path: string): { readonly content: string } | { readonly fault: string } {
  try {
    const bytes = readFileSync(path)
    if (bytes.length > FILE_BYTES) return { fault: 'is larger than 1 MiB' }
    const content = bytes.toString('utf8').replace(/\r?\n$/, '')
    return content === '' ? { fault: 'is empty' } : { content }
  } catch (error) {
    return { fault: codeOf(error) === 'ENOENT' ? "doesn't exist" : `can't be read (${codeOf(error) ?? 'unknown reason'})` }
  }
}

const scalarValue = (value: unknown): string | number | boolean | null => {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  return String(value)
}

const NOT_YAML = ['This is not valid YAML.', 'Check quotes, brackets and indentation here and in the line above.'] as const
/** In YAML's { } and [ ], a brace ends a value that isn't quoted. */
const hasBareVariable = (line: string): boolean => {
  const before = line.slice(0, Math.max(0, line.indexOf('${')))
  const isQuoted = before.replaceAll(/[^"]/g, '').length % 2 === 1
  return /[{[]/.test(before) && !isQuoted
}
const UNQUOTED_HINT = `Within { } and [ ], a value that holds \${…} needs quotes: "\${NAME}".`
const QUOTE = 'Put the value in quotes.'
const YAML_FAULTS: Readonly<Record<string, readonly [string, string]>> = {
  BAD_SCALAR_START: ['A value may not begin with this character.', QUOTE],
  BLOCK_AS_IMPLICIT_KEY: [
    'A second key stands where a value is expected.',
    'Put a value that holds ": " in quotes; start a nested part on a new line, indented.',
  ],
  MULTILINE_IMPLICIT_KEY: ['A key runs over several lines.', 'Check the indentation and the colon of this line.'],
  TAB_AS_INDENT: ['Tabs may not be used to indent.', 'Use spaces, here and wherever else a line begins with a tab.'],
  BAD_INDENT: ['The indentation is wrong, or a bracket isn’t closed.', 'Parts of one list or mapping begin in the same column.'],
  MISSING_CHAR: ['A quote, bracket or colon is missing.', 'Look here and in the line above.'],
  BAD_DQ_ESCAPE: ['In double quotes, a backslash begins an escape, and this isn’t one.', 'Write \\\\ or use single quotes.'],
  BAD_ALIAS: ['A value may not begin with this character.', QUOTE],
  MULTIPLE_DOCS: [
    'A playbook is one document; here a second one begins.',
    'Remove the line --- and put the second playbook in its own file.',
  ],
  UNEXPECTED_TOKEN: ['This doesn’t belong here.', 'Check the indentation and the colon of this line and the one above.'],
  TAG_RESOLVE_FAILED: ['This tag (a value that begins with !) has no meaning in a playbook.', QUOTE],
  BAD_DIRECTIVE: ['A line that begins with % has no meaning in a playbook.', 'Remove it.'],
  RESOURCE_EXHAUSTION: ['This is nested too deeply.', 'Check brackets and indentation.'],
}
