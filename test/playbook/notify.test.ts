// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a playbook's own placeholders
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { checkHooks, hooksOf } from '../../src/cli/hooks.ts'
import { boundPlaybook } from '../../src/playbook/binding.ts'
import { parsePlaybook } from '../../src/playbook/parse.ts'
import { buildWorld } from '../../src/playbook/world.ts'
import { usualTopics } from '../../src/run/tell-topics.ts'
import { placesOf, problemsOf, small } from './shop.ts'

const world = async (notify: string, env: Readonly<Record<string, string>> = {}) =>
  buildWorld(
    parsePlaybook(small(`notify:\n${notify}`), join(await mkdtemp(join(tmpdir(), 'migrate-notify-')), 'shop.yml'), env),
    {
      clock: systemClock,
    },
  )

describe('notify: in a playbook', () => {
  it('names who is told of what, and by which channel; nothing of an address but its host is shown', async () => {
    const { notifiers = [], close } = await world(
      [
        '  - { webhook: "https://hooks.slack.com/services/${HOOK}" }',
        '  - { name: pager, command: "./page.sh ${PAGER_TOKEN}", on: [failed, "code:late-order"] }',
        '  - { mail: [a@shop.example, "B <b@shop.example>"], from: m@shop.example, server: "smtps://me@smtp.example.com", password: "${MAIL}", on: all }',
        '  - { webhook: "https://chat.example.com/${HOOK}", as: mattermost }',
      ].join('\n'),
      { HOOK: 'T0001/B0001/abcdefghijkl', PAGER_TOKEN: 'pager-token', MAIL: 'mail-password' },
    )

    expect(notifiers.map(({ name, notifier }) => `${name}: ${notifier.label}`)).toEqual([
      'webhook: Slack at hooks.slack.com',
      'pager: command ./page.sh ${PAGER_TOKEN}',
      'mail: mail to a@shop.example, B <b@shop.example>',
      'webhook#2: Mattermost at chat.example.com',
    ])
    expect(notifiers.map(({ on }) => on).slice(0, 2)).toEqual([usualTopics, ['failed', 'code:late-order']])
    await close()
  })

  it('keeps what is secret in an address or a header out of every text, and leaves words their meaning elsewhere', () => {
    const { redactor } = parsePlaybook(
      small(
        'notify: [{ webhook: "https://a.example/services/notifications/B0001abcdefg?token=c0ffeec0ffee", headers: { authorization: "Bearer abcdefghij", priority: high } }]',
      ),
      'shop.yml',
      {},
    )

    expect(redactor.redact('POST /services/notifications/B0001abcdefg?token=c0ffeec0ffee')).toBe('POST ***')
    expect(redactor.redact('token c0ffeec0ffee, hook B0001abcdefg, Bearer abcdefghij')).toBe('token ***, hook ***, ***')
    expect(redactor.redact('the table notifications of services is high')).toBe('the table notifications of services is high')
  })

  it('is told by check: who hears of what, and who could not', async () => {
    const shop = await world('  - { command: "no-such-program --now", on: [failed] }\n  - { command: "cat >/dev/null" }')

    const findings = await checkHooks(shop, systemClock, new AbortController().signal)

    expect(findings).toMatchObject([
      { severity: 'info', code: 'notice-hook', message: 'command (command no-such-program --now) is told of failed.' },
      {
        severity: 'warning',
        code: 'notice-channel-unreachable',
        message: expect.stringContaining('there is no no-such-program here'),
      },
      { severity: 'info', message: expect.stringContaining('is told of the usual things: failed, waiting,') },
    ])
    await shop.close()
  })

  it('decides by topic and by code', async () => {
    const shop = await world('  - { command: cat, on: [failed, "code:odd"] }')
    const [hook] = hooksOf(shop, (text) => text)

    expect([
      hook?.wants('failed', null),
      hook?.wants('drained', null),
      hook?.wants(null, 'odd'),
      hook?.wants(null, null),
    ]).toEqual([true, false, true, false])
    await shop.close()
  })

  it('may be changed while a run is under way: a run isn’t bound to it', async () => {
    const bound = (notify: string) => boundPlaybook(parsePlaybook(small(`${notify}steps: [check]`), 'shop.yml', {}))

    expect(bound('notify: [{ command: cat }]\n')).toEqual(bound(''))
  })

  it('reads the authority of a server of one’s own from a file beside it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'migrate-notify-'))
    await writeFile(join(folder, 'ca.pem'), 'no certificate')
    const text = small('notify: [{ webhook: "https://127.0.0.1:9/x", ca: ca.pem }]')
    const shop = await buildWorld(parsePlaybook(text, join(folder, 'shop.yml'), {}), { clock: systemClock })
    expect(shop.notifiers).toHaveLength(1)
    await shop.close()
  })

  it.each([
    ['[{ webhook: "ftp://x" }]', '4:21 This is no web address.'],
    ['[{ on: [failed] }]', '4:10 This says no way to tell anybody.'],
    ['[{ webhook: "https://a.example/", mail: a@b.example }]', '4:43 A hook has one channel, but mail stands beside webhook.'],
    ['[{ command: cat, on: [faild] }]', '4:31 Nothing is called that.'],
    ['[{ command: cat, onn: [failed] }]', '4:26 notify[0] has no key "onn".'],
    ['[{ command: cat, name: a }, { command: dog, name: a }]', '4:59 There is a hook a already.'],
    ['[{ mail: nobody, from: a@b.example, server: "smtp://h" }]', '4:18 This is no mail address.'],
    ['[{ mail: a@b.example, from: a@b.example, server: "https://h" }]', '4:58 This is no mail server.'],
    [
      '[{ mail: a@b.example, from: a@b.example, server: "smtp://h", password: abcdefgh }]',
      '4:58 There is a password, but no user.',
    ],
    ['[{ mail: a@b.example, server: "smtp://h" }]', '4:10 notify[0].from is missing.'],
    [
      '[{ webhook: "https://a.example/", as: icq }]',
      '4:47 notify[0].as must be json, text, slack, mattermost, discord, teams or ntfy.',
    ],
    ['yes', '4:9 notify must be a list.'],
  ])('says what is wrong and where: %s', (notify, problem) => {
    expect(placesOf(small(`notify: ${notify}`))).toContain(problem)
  })

  it('suggests the word that was meant', () => {
    expect(problemsOf(small('notify: [{ command: cat, on: [faild] }]'))[0]?.hint).toBe('Did you mean "failed"?')
  })
})
