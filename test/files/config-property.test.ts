import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { load } from 'js-yaml'
import { SaxesParser } from 'saxes'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { CONFIG_FORMATS, type FormatKey } from '../../src/files/config/formats.ts'
import { setValues } from '../../src/files/config/set-values.ts'

/** The edited text; `undefined` when the format, by its own words, can't hold the value. */
function set(key: FormatKey, text: string, path: readonly string[], value: string): string | undefined {
  try {
    return setValues(CONFIG_FORMATS[key], text, [{ path, value }], { ascii: false, overExpressions: false })
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'config-value-impossible') return undefined
    throw error
  }
}

/** What was spelled between the two parts that must be as they were. */
function between(before: string, edited: string, after: string): string {
  expect(edited.slice(0, before.length)).toBe(before)
  expect(edited.slice(edited.length - after.length)).toBe(after)
  return edited.slice(before.length, edited.length - after.length)
}

const nasty = fc.constantFrom(
  ...'\'"\\$`#;:,=&<>{}[]%@!|*?-+~^()/ \t\n',
  '\r\n',
  `$${'{A}'}`,
  '$b',
  '{$',
  "\\'",
  '\\\\',
  '?>',
  ']]>',
  '&amp;',
  '/*',
  '//',
  'é',
  '€',
  '😀',
  ' #',
  ': ',
  '\u2028',
  '\u0085',
  '\ufeff',
)
const value = fc
  .array(
    fc.oneof(
      nasty,
      fc.string({ maxLength: 6 }),
      fc.constantFrom('null', 'true', '1.10', 'yes', '0x1f', '2024-01-01', 'old.example.com'),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))
const end = fc.constantFrom('\n', '\r\n')
const options = { numRuns: 300, seed: 20_261_126 }

/** Holds for every edit: around it nothing changes, again changes nothing, and the value is what was meant. */
function holds(
  key: FormatKey,
  path: readonly string[],
  parts: readonly [string, string, string],
  wanted: string,
): string | undefined {
  const [before, old, after] = parts
  const edited = set(key, before + old + after, path, wanted)
  if (edited === undefined) return undefined
  expect(set(key, edited, path, wanted)).toBe(edited)
  between(before, edited, after)
  return edited
}

const isJava = spawnSync('java', ['-version']).status === 0

describe('an edited config has the new value, and else is byte for byte what it was', () => {
  it('XML, read by saxes', () => {
    fc.assert(
      fc.property(value, end, fc.constantFrom('"', "'"), fc.boolean(), (wanted, eol, quote, isText) => {
        const head = `<?xml version="1.0"?>${eol}<!DOCTYPE r [ <!ENTITY x "]>"> ]>${eol}<!-- <r a='1'> --><r ${isText ? 'a' : 'b'}=${quote}x > y${quote}>`
        const parts = isText
          ? ([`${head}<v>`, 'old &lt; x', `</v><![CDATA[<v>]]>${eol}</r>${eol}`] as const)
          : ([`${head}<v  a = ${quote}`, 'old&#10;', `${quote}/>${eol}</r>`] as const)
        const edited = holds('xml', [isText ? 'r/v' : 'r/v/@a'], parts, wanted)
        if (edited === undefined) throw new Error('XML holds all of these')
        const seen: string[] = []
        const parser = new SaxesParser()
        let inside = false
        parser.on('opentag', (tag) => {
          inside = tag.name === 'v'
          if (tag.name === 'v') seen.push(String(tag.attributes.a ?? ''))
        })
        parser.on('closetag', () => {
          inside = false
        })
        parser.on('text', (text) => {
          if (inside) seen.push(text)
        })
        parser.write(edited).close()
        expect(seen.join('')).toBe(wanted)
      }),
      options,
    )
  })

  it('JSON, read by JSON.parse', () => {
    fc.assert(
      fc.property(value, end, fc.jsonValue(), fc.string(), (wanted, eol, other, comment) => {
        const rest = JSON.stringify(other)
        const note = `/* ${comment.replaceAll('*/', '')} */ // "a": 1${eol}`
        const parts = [`{${note}"x": ${rest},"a.b": {"c":${note}`, '"o\\u006cd"', `${note}, "y":${rest},${eol}}}${eol}`] as const
        const edited = holds('json', ['a.b', 'c'], parts, wanted) ?? ''
        expect(JSON.parse(between(parts[0], edited, parts[2]))).toBe(wanted)
      }),
      options,
    )
  })

  it('.env, read by Node', () => {
    let held = 0
    fc.assert(
      fc.property(
        value,
        end,
        fc.constantFrom('old', "'old x'", '"old # x"', '"a\nA=1"', ''),
        fc.boolean(),
        (wanted, eol, old, comment) => {
          const after = `${comment ? ' # why' : ''}${eol}Z='last'${eol}`
          const edited = holds('env', ['A'], [`# A=0${eol}export B="x"${eol}A=`, old, after], wanted)
          if (edited === undefined) {
            expect(wanted).toMatch(/['\n\r]|\\\\|\\$/)
            return
          }
          held += 1
          expect(parseEnv(edited)).toMatchObject({ A: wanted, B: 'x', Z: 'last' })
        },
      ),
      options,
    )
    expect(held).toBeGreaterThan(200)
  })

  it('.env, read by a shell', () => {
    const samples = fc.sample(value, { numRuns: 200, seed: 7 }).filter((each) => !each.includes('\0'))
    const edited = samples.flatMap((wanted) => {
      const text = set('env', 'A=old\n', ['A'], wanted)
      return text === undefined ? [] : [{ wanted, text }]
    })
    const script = edited.map(({ text }) => `${text}printf '%s\\0' "$A"\n`).join('')
    const { stdout } = spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8' })
    expect(stdout.split('\0').slice(0, -1)).toEqual(edited.map(({ wanted }) => wanted))
    expect(edited.length).toBeGreaterThan(100)
  })

  it('YAML, read by js-yaml', () => {
    fc.assert(
      fc.property(
        value,
        end,
        fc.constantFrom('old', "'o''ld'", '"o\\x6cd"', 'old and older', ''),
        fc.boolean(),
        (wanted, eol, old, isFlow) => {
          const parts = isFlow
            ? ([`# a${eol}x: &n {b: 1, a: `, old || 'o', `, c: [2]} # c${eol}z: *n${eol}`] as const)
            : ([
                `# a${eol}x: &n${eol}  b: 1${eol}  a:${old === '' ? '' : ' '}`,
                old,
                ` # c${eol}  c: [2]${eol}z: *n${eol}`,
              ] as const)
          const edited = holds('yaml', ['x', 'a'], parts, wanted)
          if (edited === undefined) throw new Error('YAML holds every text')
          const read = { a: wanted, b: 1, c: [2] }
          expect(load(edited)).toEqual({ x: read, z: read })
        },
      ),
      options,
    )
  })

  it(`.properties${isJava ? ', read by Java' : ' (Java is not installed here, so nobody else has read them)'}`, () => {
    const samples = fc.sample(value, { numRuns: 200, seed: 13 })
    const files = samples.map((wanted, index) => {
      const old = ['old', 'o\\u006cd \\\n   and more', 'a\\\\', ''][index % 4] ?? ''
      const before =
        ['# a=0\\\n! b\r\n  a\\ b : ', 'x y\n\ta\\u0020b=', 'a\\ b ', 'k=v\\\\\na\\ b\\\n = '][(index >> 2) % 4] ?? ''
      const edited = holds('properties', ['a b'], [before, old, '\nz = last\n'], wanted)
      if (edited === undefined) throw new Error('.properties hold every text')
      return edited
    })
    if (!isJava) return
    const folder = mkdtempSync(join(tmpdir(), 'migrate-java-'))
    try {
      for (const [index, text] of files.entries()) writeFileSync(join(folder, `${index}.properties`), text, 'latin1')
      const source = `import java.io.*; import java.util.*; class Read { public static void main(String[] a) throws Exception {
        PrintStream out = new PrintStream(System.out, false, "UTF-8"); for (int i = 0; i < ${files.length}; i++) { Properties p = new Properties();
        try (InputStream in = new FileInputStream(i + ".properties")) { p.load(in); } out.print(p.getProperty("a b") + "\\0" + p.getProperty("z") + "\\0"); } out.flush(); } }`
      writeFileSync(join(folder, 'Read.java'), source)
      const { stdout, stderr } = spawnSync('java', ['-Xint', 'Read.java'], { cwd: folder, encoding: 'utf8' })
      expect(stderr).toBe('')
      expect(stdout.split('\0').slice(0, -1)).toEqual(samples.flatMap((each) => [each, 'last']))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  const php = spawnSync('php', ['--version']).status === 0
  it.skipIf(!php)(`INI, read by PHP${php ? '' : ' (skipped: php is not installed)'}`, () => {
    const samples = fc.sample(value, { numRuns: 300, seed: 17 })
    const edited = samples.flatMap((wanted, index) => {
      const old = ['old', '"old"', "'old'", 'Off', '', 'C:\\site ; why'][index % 6] ?? ''
      const before = ['; [a]\n[a]\r\n# k = 0\nk = ', 'k=x\n[ a ] ; b\n  k\t=\t', '[b]\nk = 1\n[a]\nk='][index % 3] ?? ''
      const text = holds('ini', ['a', 'k'], [before, old, '\nz = "last" ; no\n'], wanted)
      return text === undefined ? [] : [{ wanted, text }]
    })
    expect(edited.length).toBeGreaterThan(120)
    const read = `$all = []; foreach (json_decode(stream_get_contents(STDIN)) as $text) { $r = parse_ini_string(preg_replace('/^#.*$/m', '', $text), true);
      $all[] = [$r['a']['k'], $r['a']['z']]; } echo json_encode($all, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);`
    const input = JSON.stringify(edited.map(({ text }) => text.replace('[ a ]', '[a]')))
    const { stdout, stderr } = spawnSync('php', ['-d', 'display_errors=stderr', '-r', read], { input, encoding: 'utf8' })
    expect(stderr).toBe('')
    // A switch stays one, and PHP reads it as such.
    const meant = (wanted: string, text: string): string =>
      !/= ?\t?(?:true|yes|null)\n/.test(text) ? wanted : wanted === 'null' ? '' : '1'
    expect(JSON.parse(stdout)).toEqual(edited.map(({ wanted, text }) => [meant(wanted, text), 'last']))
  })

  it.skipIf(!php)(`PHP, read by PHP${php ? '' : ' (skipped: php is not installed)'}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'migrate-php-'))
    try {
      const wanted = fc.sample(value, { numRuns: 300, seed: 11 }).filter((each) => !each.includes('\0'))
      const files = wanted.map((each, index) => phpFile(index, each))
      for (const [index, text] of files.entries()) writeFileSync(join(folder, `${index}.php`), text)
      const read = `$all = []; for ($i = 0; $i < ${files.length}; $i++) { ob_start(); $r = include "$i.php"; ob_end_clean();
        $all[] = [0 => fn() => constant("C$i"), 1 => fn() => $v, 2 => fn() => constant("K$i"), 3 => fn() => $r['db']['a.b'], 4 => fn() => $d['x'][1]['y']][$i % 5](); }
        echo json_encode($all, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);`
      const { stdout, stderr } = spawnSync('php', ['-d', 'display_errors=stderr', '-r', read], { cwd: folder, encoding: 'utf8' })
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual(wanted)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

/** A constant, a variable, a class-like constant, a member of what is returned or of an array, in turn. */
function phpFile(index: number, wanted: string): string {
  const old = index % 2 === 0 ? "'o\\'ld'" : '"o\\"ld\\x41"'
  const head = `<?php // define('C${index}', 'x'); ?>\n<i>$v = 'x';</i><?php /* const K${index} = 'x'; */ $h = <<<"E"\n  \\$v = 'x';\n  E; # ?><?php\n`
  const [path, before, after] = (
    [
      [[`C${index}`], `${head}define( 'C${index}' , `, ' ) ;'],
      [['$v'], `${head}$v=`, ';'],
      [[`K${index}`], `${head}const J${index} = 1, K${index} = `, ';'],
      [['db', 'a.b'], `${head}return array('z' => [1, 2], 'db' => ['q' => 'r', 'a.b' => `, ',],);'],
      [
        ['$d', 'x', '1', 'y'],
        `${head}$d['x'] = [0 => max(1, 2), 1 => ['y' => `,
        `]]; function f${index}($v = "x") { return $v == "y"; }`,
      ],
    ] as const
  )[index % 5] ?? [[], '', '']
  const edited = holds('php', path, [before, old, after], wanted)
  if (edited === undefined) throw new Error('PHP holds every text')
  return edited
}
