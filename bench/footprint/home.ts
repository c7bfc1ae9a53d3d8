// A hundred clients of a home at ordinary rates, and a dashboard that subscribes to all.

import mqtt, { type MqttClient } from 'mqtt'

/** Mean publish interval of a sensor. */
const INTERVAL_MS = 5_000

/** Connected clients of a home. */
export interface Home {
  clients: number
  /** Messages published so far. */
  sent(): number
  /** Stops publishing; the clients stay connected and send only PINGREQ. */
  stopPublishing(): void
  disconnect(): Promise<void>
}

/** Connects the sensors and a dashboard, and starts publishing. */
export async function connectHome(url: string, count: number): Promise<Home> {
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
      INTERVAL_MS * (0.8 + 0.4 * Math.random())
    )
  )
  const stopPublishing = (): void => {
    for (const timer of timers) clearInterval(timer)
  }
  return {
    clients: count,
    sent: () => sent,
    stopPublishing,
    disconnect: async () => {
      stopPublishing()
      await Promise.all(
        [dashboard, ...sensors].map(async client => {
          await client.endAsync()
        })
      )
    }
  }
}
