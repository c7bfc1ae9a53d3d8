// The load generator in its own process: handles each order and replies once.

import type { Load, Order, Reply } from './load.js'
import type { Cell } from './cells.js'
import { MqttJsLoad } from './mqtt-js-load.js'
import { RawLoad } from './raw-load.js'

let load: Load | undefined

process.on('message', (order: Order) => {
  void handle(order)
    .catch((error: unknown): Reply => ({ failed: (error as Error).message }))
    .then(reply => {
      process.send?.(reply)
    })
})
process.on('disconnect', () => {
  process.exit()
})

async function handle(order: Order): Promise<Reply> {
  switch (order.do) {
    case 'connect':
      load = loadOf(order.cell)
      await load.connect(order.port)
      return {}
    case 'send':
      return { outcome: await load?.send(order.messages) }
    case 'leave':
      await load?.disconnect()
      return {}
  }
}

function loadOf(cell: Cell): Load {
  return cell.load === 'raw' ? new RawLoad(cell) : new MqttJsLoad(cell)
}
