import { describe, expect, it } from 'vitest'
import { readPage, readStyleSheet } from '../../src/site/page.ts'

const page = new URL('https://shop.example/shirts/index.html')
const assets = (html: string): readonly string[] => readPage(html, page).assets.map((url) => url.href)

describe('readPage', () => {
  it.each([
    ['<img src="a.png">', ['https://shop.example/shirts/a.png']],
    ["<IMG alt=x SRC='/b.png'/>", ['https://shop.example/b.png']],
    ['<img src=c.png>', ['https://shop.example/shirts/c.png']],
    ['<img srcset="d.png 1x, e.png 2x" src="d.png">', ['https://shop.example/shirts/d.png', 'https://shop.example/shirts/e.png']],
    [
      '<source srcset="f.webp 480w,\n g.webp 800w">',
      ['https://shop.example/shirts/f.webp', 'https://shop.example/shirts/g.webp'],
    ],
    ['<img srcset="data:image/png;base64,AAAA 1x, h.png 2x">', ['https://shop.example/shirts/h.png']],
    ['<link rel="stylesheet" href="/s.css?v=1&amp;w=2">', ['https://shop.example/s.css?v=1&w=2']],
    [
      '<link rel="shortcut icon" href="/i.ico"><link rel="canonical" href="/other"><link rel=alternate href=/feed>',
      ['https://shop.example/i.ico'],
    ],
    ['<script src="//cdn.example/j.js"></script><script>var x = "<img src=no.png>"</script>', ['https://cdn.example/j.js']],
    [
      '<style>body { background: url( "k.png" ) } /* url(gone.png) */ @import "l.css";</style>',
      ['https://shop.example/shirts/k.png', 'https://shop.example/shirts/l.css'],
    ],
    [
      '<td style="background-image:url(m.gif)" background="n.gif">',
      ['https://shop.example/shirts/n.gif', 'https://shop.example/shirts/m.gif'],
    ],
    [
      '<video src="o.mp4" poster="p.jpg"></video><input type=image src=q.gif><input type=text src=no.gif>',
      ['https://shop.example/shirts/o.mp4', 'https://shop.example/shirts/p.jpg', 'https://shop.example/shirts/q.gif'],
    ],
    ['<base href="https://shop.example/deep/er/"><img src="r.png">', ['https://shop.example/deep/er/r.png']],
    [
      '<!-- <img src="gone.png"> --><img src="data:image/gif;base64,R0"><img src="s.png#top"><img src="s.png">',
      ['https://shop.example/shirts/s.png'],
    ],
    ['<a href="/else">else</a><img src=""><img src="http://[bad">', []],
    ['<img alt="a > b" src="t.png">', ['https://shop.example/shirts/t.png']],
  ])('finds what %s needs', (html, expected) => {
    expect(assets(html)).toEqual(expected)
  })

  it('reads the title as people see it', () => {
    expect(readPage('<title lang=en>\n Shirts &amp; more &#8211; caf&#xe9;\n</title>', page).title).toBe('Shirts & more – café')
    expect(readPage('<p>no title</p>', page).title).toBe('')
  })

  it('takes no more than a moment for a page made to be slow', () => {
    for (const evil of [
      '<img '.repeat(20_000),
      '<img a="'.repeat(20_000),
      `<img srcset="${'a '.repeat(20_000)}">`,
      '<!--'.repeat(20_000),
      '<style>'.repeat(5000),
    ]) {
      expect(readPage(evil, page).title).toBe('')
    }
  }, 20_000)
})

it('follows a style sheet from its own address', () => {
  const sheet = new URL('https://shop.example/css/main.css')
  expect(readStyleSheet("@import 'more.css'; .a{background:url(../img/a.png)}", sheet).map((url) => url.href)).toEqual([
    'https://shop.example/img/a.png',
    'https://shop.example/css/more.css',
  ])
})
