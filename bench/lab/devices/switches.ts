// Switches with retained state, and meters.

import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** A relay with a command topic. */
export const relay: DeviceKind = {
  name: 'switch',
  summary: 'switches: retained ON/OFF, QoS 1, commands on .../set, a retained will',
  residents: 8,
  ordinary: true,
  start(device) {
    const { random, home, name } = device
    const topic = `${home.base}/${name}`
    const clientId = `switch-${random.hex(6)}`
    const client = device.open({
      clientId,
      will: device.will(clientId, `${topic}/availability`, 'offline', { qos: 1, retain: true })
    })
    let on = random.chance(0.5)
    const report = (): void => {
      device.publish(client, `${topic}/state`, on ? 'ON' : 'OFF', { qos: 1, retain: true })
    }
    client.on('connect', () => {
      device.publish(client, `${topic}/availability`, 'online', { qos: 1, retain: true })
      report()
      client.subscribe(`${topic}/set`, { qos: 1 })
    })
    client.on('message', (_topic, payload) => {
      on = payload.toString() === 'ON'
      device.after(random.between(20, 200), report)
    })
    device.atRandomTimes(random.between(15, 60) * SECOND, () => {
      on = !on
      report()
    })
  }
}

/** A power meter: a burst on many topics, or one counter at QoS 2. */
export const meter: DeviceKind = {
  name: 'meter',
  summary:
    'meters: a burst of 4 to 12 numbers every 5 or 10 s (QoS 0 or 1), or one counter each second or two at QoS 2',
  residents: 5,
  ordinary: true,
  start(device) {
    const { random, home, name, party } = device
    const client = device.open({
      clientId: `${random.oneOf(['dsmr', 'sml', 'shelly3em', 'vzlogger'])}-${random.hex(6)}`
    })
    if (party.index % 2 === 1) {
      let count = random.between(100, 9_000)
      device.every(random.between(1, 2.5) * SECOND, () => {
        count += random.between(0, 0.01)
        device.publish(client, `${home.base}/${name}/meter/total`, count.toFixed(3), { qos: 2 })
      })
      return
    }
    const names = [
      'power',
      'voltage_l1',
      'voltage_l2',
      'voltage_l3',
      'current_l1',
      'current_l2',
      'current_l3',
      'energy_import',
      'energy_export',
      'frequency',
      'power_factor',
      'tariff'
    ].slice(0, random.integer(4, 12))
    const power = new Walk(random, 120, 6_000, 150)
    const qos = random.oneOf([0, 1] as const)
    device.every(
      random.oneOf([5, 10]) * SECOND,
      () => {
        for (const one of names) {
          const value = one.startsWith('voltage')
            ? random.between(226, 236).toFixed(1)
            : one === 'frequency'
              ? random.between(49.95, 50.05).toFixed(2)
              : one === 'tariff'
                ? '2'
                : power.text(3)
          device.publish(client, `${home.base}/${name}/${one}`, value, { qos })
        }
      },
      0.02
    )
  }
}
