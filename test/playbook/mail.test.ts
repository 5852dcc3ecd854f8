import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { buildWorld, parsePlaybook } from '../../src/playbook/index.ts'

const mailOf = async (lines: string) => {
  const world = await buildWorld(parsePlaybook(`name: shop\nold: {}\n${lines}`, 'shop.yml', {}), { clock: systemClock })
  await world.close()
  return world.mail
}

describe('what a playbook says of mail', () => {
  it('is taken as written, with the usual port', async () => {
    const mail = await mailOf(
      'new: {}\nmail: { from: orders@shop.example, via: smtp.example.com, dkim: [s1], hourly: 900, resolver: "127.0.20.1:5301" }\n',
    )
    expect(mail).toMatchObject({
      from: 'orders@shop.example',
      isGiven: true,
      addresses: [],
      via: { host: 'smtp.example.com', port: 587 },
      dkim: ['s1'],
      hourly: 900,
      perOrder: 2,
    })
    expect(mail?.resolver.label).toBe('127.0.20.1:5301')
  })

  it('leaves from the new host’s address unless it goes through a server', async () => {
    const site = 'new: { site: "https://198.51.100.20" }\n'
    expect((await mailOf(`${site}mail: { from: a@shop.example }\n`))?.addresses).toEqual(['198.51.100.20'])
    expect((await mailOf(`${site}mail: { from: a@shop.example, via: "smtp.example.com:25" }\n`))?.addresses).toEqual([])
  })

  it('is looked at without being asked for only where the world sees the new host', async () => {
    const site = 'site: https://www.shop.example\n'
    expect(await mailOf(`new: { site: "https://1.1.1.1" }\n${site}`)).toMatchObject({
      from: 'shop@shop.example',
      isGiven: false,
      addresses: ['1.1.1.1'],
    })
    for (const hidden of ['127.0.0.1', '10.1.2.3', '198.51.100.20', '[fe80::1]', '[2001:db8::1]']) {
      expect(await mailOf(`new: { site: "https://${hidden}" }\n${site}`), hidden).toBeUndefined()
    }
    expect(await mailOf('new: { site: "https://1.1.1.1" }\n')).toBeUndefined()
  })
})
