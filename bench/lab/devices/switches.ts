// Switches that keep their state at the broker, and meters that count.

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
    const { chance, home, name } = device
    const topic = `${home.base}/${name}`
    const clientId = `switch-${chance.hex(6)}`
    const client = device.open({
      clientId,
      will: device.will(clientId, `${topic}/availability`, 'offline', { qos: 1, retain: true })
    })
    let on = chance.happens(0.5)
    const tell = (): void => {
      device.publish(client, `${topic}/state`, on ? 'ON' : 'OFF', { qos: 1, retain: true })
    }
    client.on('connect', () => {
      device.publish(client, `${topic}/availability`, 'online', { qos: 1, retain: true })
      tell()
      client.subscribe(`${topic}/set`, { qos: 1 })
    })
    client.on('message', (_topic, payload) => {
      on = payload.toString() === 'ON'
      device.after(chance.between(20, 200), tell)
    })
    device.sometimes(chance.between(15, 60) * SECOND, () => {
      on = !on
      tell()
    })
  }
}

/** A meter at the fuse box: a dozen topics in one go, or one that counts exactly once. */
export const meter: DeviceKind = {
  name: 'meter',
  summary:
    'meters: a burst of 4 to 12 numbers every 5 or 10 s (QoS 0 or 1), or one counter each second or two at QoS 2',
  residents: 5,
  ordinary: true,
  start(device) {
    const { chance, home, name, party } = device
    const client = device.open({
      clientId: `${chance.oneOf(['dsmr', 'sml', 'shelly3em', 'vzlogger'])}-${chance.hex(6)}`
    })
    if (party.index % 2 === 1) {
      let count = chance.between(100, 9_000)
      device.every(chance.between(1, 2.5) * SECOND, () => {
        count += chance.between(0, 0.01)
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
    ].slice(0, chance.whole(4, 12))
    const power = new Walk(chance, 120, 6_000, 150)
    const qos = chance.oneOf([0, 1] as const)
    device.every(
      chance.oneOf([5, 10]) * SECOND,
      () => {
        for (const one of names) {
          const value = one.startsWith('voltage')
            ? chance.between(226, 236).toFixed(1)
            : one === 'frequency'
              ? chance.between(49.95, 50.05).toFixed(2)
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
