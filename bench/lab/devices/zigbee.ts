// A Zigbee gateway: one client that speaks for a dozen small devices in JSON, in the manner of Zigbee2MQTT.

import type { Chance } from '../chance.js'
import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

interface Endpoint {
  name: string
  address: string
  model: string
  meanMs: number
  reading: () => Record<string, unknown>
}

/** The gateway. */
export const zigbee: DeviceKind = {
  name: 'zigbee2mqtt',
  summary:
    'Zigbee2MQTT: one client for 8 to 14 devices, JSON, a large retained list at the start, retained availability, commands taken',
  residents: 3,
  ordinary: true,
  start(device) {
    const { chance, home, party } = device
    const base = party.index === 0 ? home.zigbee : `${home.zigbee}${party.index + 1}`
    const clientId = `mqttjs_${chance.hex(8)}`
    const client = device.open({
      clientId,
      will: device.will(clientId, `${base}/bridge/state`, '{"state":"offline"}', { qos: 1, retain: true }),
      keepalive: 60
    })
    const endpoints = Array.from({ length: chance.whole(8, 14) }, (_, i) =>
      endpoint(
        chance,
        `${home.room(i + party.index * 3)}_${chance.oneOf(['door', 'motion', 'window', 'climate', 'bulb', 'button', 'plug', 'leak'])}`
      )
    )
    client.on('connect', () => {
      device.publish(client, `${base}/bridge/state`, '{"state":"online"}', { qos: 1, retain: true })
      device.publish(client, `${base}/bridge/devices`, JSON.stringify(endpoints.map(describe)), { retain: true })
      for (const { name } of endpoints)
        device.publish(client, `${base}/${name}/availability`, '{"state":"online"}', { qos: 1, retain: true })
      client.subscribe(`${base}/#`, { qos: 0 })
    })
    client.on('message', topic => {
      const commanded = endpoints.find(({ name }) => topic === `${base}/${name}/set`)
      if (commanded !== undefined)
        device.after(chance.between(40, 300), () => {
          say(commanded)
        })
    })
    const say = ({ name, reading }: Endpoint): void => {
      device.publish(client, `${base}/${name}`, JSON.stringify(reading()), { qos: 0, retain: false })
    }
    for (const one of endpoints)
      device.sometimes(one.meanMs, () => {
        say(one)
      })
    device.every(60 * SECOND, () => {
      device.publish(
        client,
        `${base}/bridge/health`,
        JSON.stringify({
          response_time: Date.now(),
          os: { load_average: [chance.between(0, 1), chance.between(0, 1)], memory_percent: chance.between(20, 40) },
          mqtt: { connected: true, queued: 0, received: chance.whole(100, 999), published: chance.whole(1_000, 9_999) }
        }),
        { qos: 1, retain: true }
      )
    })
  }
}

function endpoint(chance: Chance, name: string): Endpoint {
  const battery = chance.whole(40, 100)
  const voltage = chance.whole(2_800, 3_150)
  const quality = new Walk(chance, 30, 255, 12)
  const celsius = new Walk(chance, 16, 27, 0.15)
  const power = new Walk(chance, 0, 1_900, 60)
  const common = (): Record<string, unknown> => ({ battery, linkquality: quality.round(0), voltage })
  const base = { name, address: `0x00158d00${chance.hex(8)}`, meanMs: chance.between(8, 40) * SECOND }
  switch (chance.whole(0, 4)) {
    case 0:
      return {
        ...base,
        model: 'WSDCGQ11LM',
        reading: () => ({
          ...common(),
          temperature: celsius.round(2),
          humidity: Number(chance.between(35, 60).toFixed(2)),
          pressure: chance.whole(985, 1_030)
        })
      }
    case 1:
      return {
        ...base,
        model: 'MCCGQ11LM',
        reading: () => ({ ...common(), contact: chance.happens(0.5), device_temperature: chance.whole(18, 30) })
      }
    case 2:
      return {
        ...base,
        model: 'RTCGQ11LM',
        reading: () => ({
          ...common(),
          occupancy: chance.happens(0.5),
          illuminance: chance.whole(0, 900),
          illuminance_lux: chance.whole(0, 900)
        })
      }
    case 3:
      return {
        ...base,
        model: 'TS011F',
        reading: () => ({
          state: chance.oneOf(['ON', 'OFF']),
          power: power.round(0),
          current: Number((power.next() / 230).toFixed(2)),
          energy: Number(chance.between(10, 90).toFixed(2)),
          linkquality: quality.round(0),
          voltage: chance.whole(226, 236)
        })
      }
    default:
      return {
        ...base,
        model: 'LED1836G9',
        reading: () => ({
          brightness: chance.whole(1, 254),
          color_mode: 'color_temp',
          color_temp: chance.whole(250, 454),
          linkquality: quality.round(0),
          state: chance.oneOf(['ON', 'OFF']),
          update: { installed_version: 587753009, latest_version: 587753009, state: 'idle' }
        })
      }
  }
}

function describe({ name, address, model }: Endpoint): Record<string, unknown> {
  return {
    definition: {
      description: `Device ${model}`,
      exposes: [
        {
          access: 1,
          name: 'linkquality',
          property: 'linkquality',
          type: 'numeric',
          unit: 'lqi',
          value_max: 255,
          value_min: 0
        }
      ],
      model,
      options: [],
      supports_ota: true,
      vendor: 'Vendor'
    },
    disabled: false,
    endpoints: {
      1: {
        bindings: [],
        clusters: { input: ['genBasic', 'genIdentify'], output: ['genOta'] },
        configured_reportings: []
      }
    },
    friendly_name: name,
    ieee_address: address,
    interview_completed: true,
    model_id: model,
    network_address: 1,
    power_source: 'Battery',
    supported: true,
    type: 'EndDevice'
  }
}
