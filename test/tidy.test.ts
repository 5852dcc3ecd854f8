import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { LONGEST } from './longest-first.ts'

/**
 * The house rules that no linter knows (design.md, "Layout"): which way imports run, who may print, exit or know the time, how
 * long a file may be. Biome holds the rest: types, empty blocks, non-null marks, function length.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['src', 'test', 'scripts', 'bin'] as const
const LONGEST_FILE_LINES = 300

interface SourceFile {
  /** From the repository's root, `/` between parts. */
  readonly path: string
  readonly text: string
  /** Without comments and the content of strings. */
  readonly code: string
  readonly imports: readonly Import[]
}

interface Import {
  /** A file of the repository, or a package's name. */
  readonly target: string
  /** Gone when the program runs. */
  readonly typeOnly: boolean
}

const files: readonly SourceFile[] = FOLDERS.flatMap(sourcesBelow)
const source = files.filter((file) => file.path.startsWith('src/'))
const byPath = new Map(files.map((file) => [file.path, file]))

function sourcesBelow(folder: string): readonly SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs|js)$/.test(entry.name))
    .map((entry) => {
      const path = relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/')
      const text = readFileSync(join(ROOT, path), 'utf8')
      return { path, text, code: bare(text), imports: importsOf(path, text) }
    })
}

/** What is left is code: comments, strings, templates and regular expressions are blanked, line breaks kept. */
function bare(text: string): string {
  const literal =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=[=(,:!&|?]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g
  return text.replace(literal, (found) => found.replace(/[^\n]/g, ' '))
}

function importsOf(path: string, text: string): readonly Import[] {
  const statement = /^\s*(?:import|export)\s+(type\s)?(?:[\w$*\s{},]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm
  return [...text.matchAll(statement)].map(([, type, from, dynamic]) => {
    const target = from ?? dynamic ?? ''
    const inside = target.startsWith('.') ? normalize(join(dirname(path), target)).replaceAll('\\', '/') : target
    return { target: inside, typeOnly: type !== undefined }
  })
}

/** `src/steps/check.ts → src/files/local.ts`, for every import from `from` to `to` that a rule forbids. */
function forbidden(from: (path: string) => boolean, to: (target: string, from: string) => boolean): readonly string[] {
  return source
    .filter((file) => from(file.path))
    .flatMap((file) => file.imports.filter(({ target }) => to(target, file.path)).map(({ target }) => `${file.path} → ${target}`))
}

const inside =
  (...folders: readonly string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`src/${folder}/`))
const ours = (target: string): boolean => target.startsWith('src/')

/** Code that talks to one kind of server: a folder, or files that begin with the server's name. */
const ADAPTERS: readonly RegExp[] = [
  /^src\/databases\/(?!plan\/|snapshot\/|native\/)[^/]+\//,
  /^src\/files\/(?!config\/)[^/]+\//,
  /^src\/files\/local\.ts$/,
  /^src\/dns\/(cloudflare|rfc2136|manual|node-dig|resolver-)[^/]*\.ts$/,
  /^src\/notices\/(webhook|command|mail)\.ts$/,
]
const isAdapter = (path: string): boolean => ADAPTERS.some((pattern) => pattern.test(path))
/** `src/databases/postgres`, `src/dns/cloudflare`: what belongs to the same adapter begins with the same. */
const adapterOf = (path: string): string => /^src\/\w+\/(?:[a-z0-9]+)/.exec(path)?.[0] ?? path
const isDomain = inside('databases', 'files', 'dns', 'reconcile', 'site', 'mail', 'notices', 'report')

describe('imports run one way', () => {
  test('base imports nothing of ours but base', () => {
    expect(forbidden(inside('base'), (target) => ours(target) && !inside('base')(target))).toEqual([])
  })

  test('run imports only base', () => {
    expect(forbidden(inside('run'), (target) => ours(target) && !inside('base', 'run')(target))).toEqual([])
  })

  test('ports and pure files import no adapter, and nothing of the steps, the playbook, the runner, the demo or the screen', () => {
    const pure = (path: string): boolean =>
      inside('databases', 'files', 'reconcile', 'site', 'mail', 'notices')(path) && !isAdapter(path)
    const above = inside('steps', 'playbook', 'run', 'cli', 'demo')
    expect(forbidden(pure, (target) => above(target) || isAdapter(target))).toEqual([])
  })

  test('adapters import base and their own ports, and no other adapter', () => {
    const other = (target: string, from: string): boolean =>
      ours(target) && !inside('base')(target) && (!isDomain(target) || domainOf(target) !== domainOf(from))
    const neighbour = (target: string, from: string): boolean => isAdapter(target) && adapterOf(target) !== adapterOf(from)
    expect(forbidden(isAdapter, (target, from) => other(target, from) || neighbour(target, from))).toEqual([])
  })

  test('steps import ports and never reach an adapter, not even through others', () => {
    expect(forbidden(inside('steps'), (target) => inside('cli', 'demo', 'playbook')(target))).toEqual([])
    const steps = source.filter((file) => inside('steps')(file.path)).map((file) => file.path)
    expect([...reachable(steps)].filter(isAdapter)).toEqual([])
  })

  test('adapters are built in one place: the playbook’s world, and its table of channels', () => {
    const builders = (path: string): boolean =>
      !isAdapter(path) && !inside('demo', 'dns')(path) && !/^src\/playbook\/(world|channels)\.ts$/.test(path)
    expect(forbidden(builders, (target, from) => isAdapter(target) && !isTypeOnly(from, target))).toEqual([])
  })

  test('nobody imports the screen or the demo but the commands', () => {
    expect(
      forbidden(
        (path) => !inside('cli')(path),
        (target) => inside('cli')(target),
      ),
    ).toEqual([])
    expect(
      forbidden(
        (path) => !inside('cli', 'demo')(path),
        (target) => inside('demo')(target),
      ),
    ).toEqual([])
  })

  test('sources import no tests, and relative imports name the file with .ts', () => {
    expect(
      forbidden(
        () => true,
        (target) => /^(test|scripts)\//.test(target),
      ),
    ).toEqual([])
    expect(
      forbidden(
        () => true,
        (target) => ours(target) && !target.endsWith('.ts'),
      ),
    ).toEqual([])
  })

  test('every relative import leads to a file', () => {
    const known = (target: string): boolean => !/^(src|test|scripts)\//.test(target) || byPath.has(target)
    expect(
      files.flatMap((file) =>
        file.imports.filter(({ target }) => !known(target)).map(({ target }) => `${file.path} → ${target}`),
      ),
    ).toEqual([])
  })
})

const domainOf = (path: string): string => path.split('/')[1] ?? ''

const isTypeOnly = (from: string, target: string): boolean =>
  (byPath.get(from)?.imports ?? []).filter((each) => each.target === target).every((each) => each.typeOnly)

/** Everything that is loaded when these files are. */
function reachable(from: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const left = [...from]
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    left.push(
      ...(byPath.get(path)?.imports ?? [])
        .filter(({ target, typeOnly }) => ours(target) && !typeOnly)
        .map(({ target }) => target),
    )
  }
  return seen
}

/** `src/dns/diff.ts:12: …` for every line of code that matches. */
const lines = (among: readonly SourceFile[], pattern: RegExp): readonly string[] =>
  among.flatMap((file) =>
    file.code.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file.path}:${index + 1}: ${line.trim()}`] : [])),
  )

describe('who may do what', () => {
  const outsideCli = source.filter((file) => !inside('cli')(file.path))

  test('only the commands print, exit and read the arguments', () => {
    expect(lines(outsideCli, /\bconsole\.|process\.(stdout|stderr|exit|exitCode|argv)\b/)).toEqual([])
  })

  test('only base/clock knows the time', () => {
    const others = source.filter((file) => file.path !== 'src/base/clock.ts')
    expect(
      lines(others, /\bDate\.now\b|\bnew Date\b|\bperformance\.|\bprocess\.hrtime\b|(?<!\.)\bset(Timeout|Interval)\(/),
    ).toEqual([])
    expect(
      forbidden(
        (path) => path !== 'src/base/clock.ts',
        (target) => /^(node:)?timers/.test(target),
      ),
    ).toEqual([])
  })

  test('engines are named in their own folders, not switched on elsewhere', () => {
    const elsewhere = source.filter((file) => !isAdapter(file.path) && !inside('playbook', 'demo')(file.path))
    const texts = elsewhere.map((file) => ({ ...file, code: file.text }))
    expect(lines(texts, /[!=]==\s*'(mssql|mysql|postgres)'|case '(mssql|mysql|postgres)'/)).toEqual([])
  })

  test('a secret is opened only where it is used: at a driver, or where text is cleaned of it', () => {
    const may = (path: string): boolean => isAdapter(path) || inside('base', 'playbook')(path)
    expect(
      lines(
        source.filter((file) => !may(file.path)),
        /\.reveal\(\)/,
      ),
    ).toEqual([])
  })
})

describe('code is kept', () => {
  test(`in files of at most ${LONGEST_FILE_LINES} lines`, () => {
    const long = files.map((file) => ({ path: file.path, lines: file.text.trimEnd().split('\n').length }))
    expect(long.filter((file) => file.lines > LONGEST_FILE_LINES).map((file) => `${file.path}: ${file.lines}`)).toEqual([])
  })

  test('without ways around the types', () => {
    expect(lines(files, /\bas unknown as\b|\bas any\b|:\s*any\b|<any>|@ts-(ignore|expect-error|nocheck)/)).toEqual([])
    expect(
      lines(
        files.map((file) => ({ ...file, code: file.text })),
        /@ts-(ignore|nocheck)\b(?!\|)/,
      ).filter((line) => !line.startsWith('test/tidy')),
    ).toEqual([])
  })

  test('without errors that vanish', () => {
    expect(lines(files, /catch\s*(\([^)]*\))?\s*\{\s*\}/)).toEqual([])
    expect(lines(source, /\.catch\(\s*\(\s*\)\s*=>\s*\{\s*\}\s*\)/)).toEqual([])
  })

  test('without notes to oneself', () => {
    const texts = files.filter((file) => file.path !== 'test/tidy.test.ts').map((file) => ({ ...file, code: file.text }))
    expect(lines(texts, /\b(TODO|FIXME|XXX|HACK)\b/)).toEqual([])
  })
})

describe('tests', () => {
  const tests = files.filter((file) => file.path.startsWith('test/') && file.path !== 'test/tidy.test.ts')

  test('wait for something, never for a time', () => {
    const told = tests.filter((file) => file.path.endsWith('.test.ts'))
    const inLoops = /\b(for|while) \(/
    const fixed = told.flatMap(({ path, code }) =>
      code.split('\n').flatMap((line, index, all) => {
        const waits = /\bsetTimeout\(|\bawait (wait|delay|sleep|pause)\(\d/.test(line)
        // A pause between two looks is how one waits for something.
        return waits && !all.slice(Math.max(0, index - 5), index + 1).some((each) => inLoops.test(each))
          ? [`${path}:${index + 1}: ${line.trim()}`]
          : []
      }),
    )
    expect(fixed).toEqual([])
  })

  test('run all or say why not: none is focused or switched off for good', () => {
    // A reason is built into the title: a template.
    expect(lines(tests, /\b(describe|test|it)\.((only|todo)\(|skip\((?!`))/)).toEqual([])
  })

  test('listen on free ports', () => {
    expect(lines(tests, /\.listen\(\s*[1-9]/)).toEqual([])
  })

  test('are there, of those that begin first', () => {
    const paths = files.map(({ path }) => path).filter((path) => path.endsWith('.test.ts'))
    expect(LONGEST.filter((start) => !paths.some((path) => path.startsWith(start)))).toEqual([])
  })
})
