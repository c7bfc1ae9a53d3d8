// bench:overhead: every load works on every broker and counts each message; a lost message fails the measurement.

import t from 'tap'
import { withOverrides } from '../../bench/brokers/settings.js'
import { cellsOf } from '../../bench/overhead/cells.js'
import { Delivery } from '../../bench/overhead/delivery.js'
import { FIRST, FrameReader, publishPattern } from '../../bench/overhead/frames.js'
import { measureCell } from '../../bench/overhead/measurement.js'
import { aimLines, anomalies, resultTable } from '../../bench/overhead/table.js'
import { PUBACK } from '../decode/craft-mqtt.js'
import { programMissing } from '../support/programs.js'

const MESSAGES = 300

t.test('all loads on the Node brokers', async t => {
  const shape = { session: ['clean'], window: ['20'] }
  const cells = [
    ...cellsOf({ load: ['raw'], qos: ['0', '1', '2'], ...shape }),
    ...cellsOf({ load: ['mqtt.js'], qos: ['1'], ...shape })
  ]
  t.equal(cells.length, 4)
  const effort = {
    variants: ['aedes', 'artemis'],
    rounds: 1,
    messages: MESSAGES,
    warmUp: MESSAGES,
    overrides: ['limits.inflightMessages=50']
  }
  for (const cell of cells) {
    const result = await measureCell(cell, effort, () => {})
    for (const { variant, rounds, failed } of result.series) {
      t.equal(failed, undefined, `${variant}, ${cell.load}, QoS ${cell.qos}`)
      t.match(rounds, [{ messages: MESSAGES, duplicates: 0, disordered: 0 }])
      t.ok(
        rounds[0].threadUs > 0 && rounds[0].threadUs <= rounds[0].processUs,
        `${rounds[0].threadUs} us of ${rounds[0].processUs}`
      )
    }
    t.match(resultTable([result], 'aedes'), /\| bare Aedes \| [\d.]+ \| 1\.00 \|/)
    t.same(anomalies([result]), [])
  }
})

t.test('a persistent session on Artemis and on mosquitto', { skip: programMissing('mosquitto') }, async t => {
  const [cell] = cellsOf({ load: ['raw'], qos: ['1'], session: ['lasting'], window: ['1000'] })
  const { series } = await measureCell(
    cell,
    { variants: ['mosquitto', 'artemis'], rounds: 2, messages: MESSAGES, warmUp: MESSAGES, overrides: [] },
    () => {}
  )
  t.same(
    series.map(({ rounds, failed }) => [rounds.length, failed]),
    [
      [2, undefined],
      [2, undefined]
    ]
  )
})

t.test('a broker that does not start is reported, and the others are measured', async t => {
  const [cell] = cellsOf({ load: ['raw'], qos: ['0'], session: ['clean'], window: ['1000'] })
  const result = await measureCell(
    cell,
    { variants: ['artemis', 'aedes'], rounds: 1, messages: MESSAGES, warmUp: MESSAGES, overrides: ['no.such=1'] },
    () => {}
  )
  t.match(result.series[0].failed, /exited before it listened/)
  t.equal(result.series[1].rounds.length, 1)
  t.match(resultTable([result], 'artemis'), /failed/)
  t.same(aimLines([result], 'artemis'), [])
})

t.test('missing messages fail the measurement', async t => {
  const delivery = new Delivery({ qos: 1, window: 2 }, 3, 20)
  t.equal(delivery.room, 2)
  delivery.sent = 2
  t.equal(delivery.room, 0)
  delivery.acknowledge()
  delivery.receive(1)
  delivery.receive(0)
  delivery.receive(0)
  t.equal(delivery.room, 1)
  await t.rejects(delivery.done, {
    message: 'no progress for 0.02 s: 2 of 3 messages sent, 1 acknowledged, 2 received'
  })
})

t.test('packets are read from any chunks', t => {
  const { frame, id, payload } = publishPattern('load', 1, 200)
  frame.writeUInt16BE(513, id)
  frame.writeUInt32BE(7, payload)
  const bytes = Buffer.concat([PUBACK, frame, PUBACK])
  for (let cut = 0; cut <= bytes.length; cut++) {
    const found: [number, number][] = []
    const reader = new FrameReader((first, _bytes, start, end) => {
      found.push([first, end - start])
    })
    reader.read(bytes.subarray(0, cut))
    reader.read(bytes.subarray(cut))
    t.same(
      found,
      [
        [FIRST.puback, 2],
        [FIRST.publish | 2, 208],
        [FIRST.puback, 2]
      ],
      `cut at ${cut}`
    )
  }
  t.end()
})

t.test('settings from the command line override the tree', t => {
  const tree = { limits: { queuedMessages: 1 } }
  t.same(withOverrides(tree, ['limits.inflightMessages=5', 'store.sync=true', 'data=a b']), {
    limits: { queuedMessages: 1, inflightMessages: 5 },
    store: { sync: true },
    data: 'a b'
  })
  t.same(tree, { limits: { queuedMessages: 1 } })
  t.throws(() => withOverrides(tree, ['limits']), /use name\.of\.setting=value/)
  t.end()
})
