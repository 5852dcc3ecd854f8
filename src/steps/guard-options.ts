import { z } from 'zod'
import { durationMs } from './options.ts'

const path = z.string().regex(/^\//, 'must begin with /: "/checkout"')

const ordersSchema = z
  .strictObject({
    table: z.string().min(1).optional().describe('The table whose new rows are the orders; found by its name when absent'),
    atLeast: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('The share of the expected orders below which the new host counts as failing: 0.1'),
    window: durationMs.prefault('10m').describe('Orders are counted over so long'),
    expected: z
      .int()
      .min(1)
      .default(20)
      .describe('Where fewer than so many are expected within the window, as in a quiet night, their number says nothing'),
  })
  .prefault({})

export const guardOptionsSchema = z
  .strictObject({
    failback: z
      .enum(['offer', 'auto', 'off'])
      .default('offer')
      .describe(
        '`offer`: when the new host fails, a person is asked whether to go back; `auto`: it is done at once; `off`: it is only told',
      ),
    after: durationMs
      .prefault('2m')
      .describe('It must have failed for so long, without one good look between, before it counts as failed'),
    looks: z.int().min(2).max(100).default(4).describe('And at so many looks in a row, at least'),
    well: durationMs.prefault('5m').describe('After that, it counts as well again once it has been well for so long'),
    every: durationMs.prefault('15s').describe('Time between two looks'),
    for: durationMs
      .optional()
      .describe('Guard for so long after the cutover; as long as the watch-propagation beside it when left out, 30m without one'),
    paths: z.array(path).min(1).prefault(['/']).describe('Pages of the new host that must answer with a status below 400'),
    contains: z.string().min(1).optional().describe('What each of these pages must contain'),
    answer: durationMs.prefault('10s').describe('So long a page or the database may take to answer'),
    free: z.int().min(0).default(64).describe('MiB that must be free where the new host’s files lie, where it can be asked'),
    orders: z
      .union([z.literal(false), ordersSchema], { error: 'must be false, or a mapping such as { atLeast: 0.1, window: 10m }' })
      .default(ordersSchema.parse(undefined))
      .describe('How many orders are expected of the new host, by the rate measured before; false: any number is right'),
    resolvers: z
      .array(z.string())
      .min(1)
      .optional()
      .describe(
        'Who is asked whether our own line is up, when nothing of the new host answers; the zone’s name servers when left out',
      ),
  })
  .refine(({ after, well }) => well >= after, { error: 'must be as long as after:, or longer', path: ['well'] })
  .prefault({})
export type GuardOptions = z.infer<typeof guardOptionsSchema>
export type OrderOptions = Exclude<GuardOptions['orders'], false>
