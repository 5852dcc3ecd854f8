import { describe, expect, it } from 'vitest'
import { type ListedEntry, parseFacts, parseListLine, parseTime, timeText } from '../../src/files/ftp/listing.ts'

const NOW = Date.UTC(2026, 10, 26, 5, 0) / 1000
const at = (...time: readonly [number, number, number, number?, number?]): number => Date.UTC(...time) / 1000

const parsed = (text: string, parse: (line: string) => ListedEntry | 'itself'): readonly ListedEntry[] =>
  text
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .flatMap((line) => {
      const entry = parse(line)
      return entry === 'itself' ? [] : [entry]
    })
const parseList = (text: string, now: number): readonly ListedEntry[] => parsed(text, (line) => parseListLine(line, now))
const parseMlsd = (text: string): readonly ListedEntry[] => parsed(text, parseFacts)

/** Answers as servers of these kinds give them. */
const IIS = [
  '11-20-26  07:19AM       <DIR>          images',
  '01-02-2026  12:05PM       <DIR>           leading space',
  '11-20-26  12:40AM                 1205 web.config',
  '11-19-26  11:59PM           4294967296 backup of shop.bak',
].join('\r\n')
const IIS_AS_UNIX =
  'drwxrwxrwx   1 owner    group               0 Nov 20  7:19 images\r\n-rwxrwxrwx   1 owner    group            1205 Dec 31  2024 web.config\r\n'
const UNIX = [
  'total 12',
  'drwxr-xr-x    3 1000     1000         4096 Nov 20 07:19 .',
  'drwxr-xr-x    3 1000     1000         4096 Nov 20 07:19 ..',
  '-rw-r--r--    1 shop     www-data        5 Nov 26 04:55 index.php',
  '-rwsr-x--T    1 shop     www-data        5 Dec 24 23:59  two  spaces ',
  'lrwxrwxrwx    1 shop     www-data        7 Nov 26 04:55 current -> releases/1 -> 2',
  'srwxrwxrwx    1 shop     www-data        0 Jan  1  2020 php.sock',
  'brw-rw----    1 root     disk       8,   0 Jan  1  2020 sda',
].join('\n')

describe('a listing', () => {
  it('of IIS in its MS-DOS style gives folders, sizes beyond 4 GiB, and names with spaces', () => {
    expect(parseList(IIS, NOW)).toMatchObject([
      { name: 'images', kind: 'folder', size: 0, roughlySeconds: at(2026, 10, 20, 7, 19), mode: null },
      { name: ' leading space', kind: 'folder', roughlySeconds: at(2026, 0, 2, 12, 5) },
      { name: 'web.config', kind: 'file', size: 1205, roughlySeconds: at(2026, 10, 20, 0, 40), mtimeSeconds: null },
      { name: 'backup of shop.bak', kind: 'file', size: 4_294_967_296, roughlySeconds: at(2026, 10, 19, 23, 59) },
    ])
  })

  it('of IIS that plays Unix is read as such', () => {
    expect(parseList(IIS_AS_UNIX, NOW)).toMatchObject([
      { name: 'images', kind: 'folder', mode: 0o777 },
      { name: 'web.config', kind: 'file', size: 1205, roughlySeconds: at(2024, 11, 31) },
    ])
  })

  it('of Unix gives every kind of entry, all bits of a mode, the last year that isn’t in the future, spaces in names', () => {
    expect(parseList(UNIX, NOW)).toMatchObject([
      { name: 'index.php', kind: 'file', size: 5, mode: 0o644, roughlySeconds: at(2026, 10, 26, 4, 55) },
      { name: ' two  spaces ', kind: 'file', mode: 0o5750, roughlySeconds: at(2025, 11, 24, 23, 59) },
      { name: 'current', kind: 'link', target: 'releases/1 -> 2', size: 0 },
      { name: 'php.sock', kind: 'other', size: 0 },
      { name: 'sda', kind: 'other', size: 0 },
    ])
  })

  it('by facts is exact, without the folder itself and the one above', () => {
    const text = [
      'type=cdir;modify=20261126045510;UNIX.mode=0755; .',
      'type=pdir;modify=20261126045510; ..',
      'Type=file;Size=18446;Modify=20050318015831.123;UNIX.mode=0604; a; b=c',
      'modify=20261126045510;type=OS.unix=slink:/srv/x;UNIX.mode=0777; link',
      'type=dir;modify=20261126045510; sub',
      'type=OS.unix=chr-1/3;modify=20261126045510; null',
    ].join('\r\n')
    expect(parseMlsd(text)).toMatchObject([
      { name: 'a; b=c', kind: 'file', size: 18_446, mode: 0o604, mtimeSeconds: 1_111_111_111 },
      { name: 'link', kind: 'link', target: '/srv/x' },
      { name: 'sub', kind: 'folder', mode: null },
      { name: 'null', kind: 'other' },
    ])
  })

  it.each([
    ['-rw-r--r-- 1 shop www 5 26 nov. 04:55 mars.txt'],
    ['line.txt'],
    ['11-20-26 later images'],
    ['?---------    ? ?        ?               ?            ? broken'],
  ])('with the line %j is an error that shows it, never a file left out', (line) => {
    expect(() => parseList(`${UNIX}\n${line}`, NOW)).toThrow(line.slice(0, 10))
  })

  it.each([['size=5;modify=20261126045510; x'], ['type=file;size=; x'], ['type=file;size=5;'], ['nonsense']])(
    'by facts with the line %j is an error',
    (line) => {
      expect(() => parseFacts(line)).toThrow('a way that migrate doesn')
    },
  )
})

describe('a time of FTP', () => {
  it('comes back as it went', () => {
    for (const seconds of [0, 1_111_111_111, 1_250_000_000, 4_102_444_799]) expect(parseTime(timeText(seconds))).toBe(seconds)
    expect(timeText(1_111_111_111.9)).toBe('20050318015831')
    expect(parseTime('yesterday')).toBeNull()
  })
})
