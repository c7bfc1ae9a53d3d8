// A hundred clients of a house at ordinary rates, and a dashboard that reads them all.

import mqtt, { type MqttClient } from 'mqtt'

/** Each sensor speaks about this often. */
const EVERY_MS = 5_000

/** Clients at work. */
export interface Home {
  clients: number
  /** Messages published so far. */
  sent(): number
  /** They stay connected and say nothing but pings. */
  rest(): void
  leave(): Promise<void>
}

/** Connects them, a dashboard among them, and sets the others to work. */
export async function moveIn(url: string, count: number): Promise<Home> {
  const dashboard = await mqtt.connectAsync(url, { clientId: 'dashboard' })
  await dashboard.subscribeAsync('home/#', { qos: 1 })
  const sensors: MqttClient[] = []
  for (let i = 0; i < count - 1; i++) sensors.push(await mqtt.connectAsync(url, { clientId: `sensor-${i}` }))
  let sent = 0
  const timers = sensors.map((sensor, i) =>
    setInterval(
      () => {
        sent++
        const reading = {
          temperature: 18 + Math.random() * 6,
          humidity: 40 + Math.floor(Math.random() * 20),
          battery: 90,
          linkquality: 40 + Math.floor(Math.random() * 200)
        }
        sensor.publish(`home/room-${i % 10}/sensor-${i}`, JSON.stringify(reading), {
          qos: i % 3 === 0 ? 1 : 0,
          retain: i % 5 === 0
        })
      },
      EVERY_MS * (0.8 + 0.4 * Math.random())
    )
  )
  const rest = (): void => {
    for (const timer of timers) clearInterval(timer)
  }
  return {
    clients: count,
    sent: () => sent,
    rest,
    leave: async () => {
      rest()
      await Promise.all(
        [dashboard, ...sensors].map(async client => {
          await client.endAsync()
        })
      )
    }
  }
}
