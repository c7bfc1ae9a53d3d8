// A Zigbee gateway: one client for a dozen small devices with JSON payloads, like Zigbee2MQTT.

import type { RandomSource } from '../random-source.js'
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
    'Zigbee2MQTT: one client for 8 to 14 devices, JSON, a large retained list at the start, retained availability, commands',
  residents: 3,
  ordinary: true,
  start(device) {
    const { random, home, party } = device
    const base = party.index === 0 ? home.zigbee : `${home.zigbee}${party.index + 1}`
    const clientId = `mqttjs_${random.hex(8)}`
    const client = device.open({
      clientId,
      will: device.will(clientId, `${base}/bridge/state`, '{"state":"offline"}', { qos: 1, retain: true }),
      keepalive: 60
    })
    const endpoints = Array.from({ length: random.integer(8, 14) }, (_, i) =>
      endpoint(
        random,
        `${home.room(i + party.index * 3)}_${random.oneOf(['door', 'motion', 'window', 'climate', 'bulb', 'button', 'plug', 'leak'])}`
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
        device.after(random.between(40, 300), () => {
          report(commanded)
        })
    })
    const report = ({ name, reading }: Endpoint): void => {
      device.publish(client, `${base}/${name}`, JSON.stringify(reading()), { qos: 0, retain: false })
    }
    for (const one of endpoints)
      device.atRandomTimes(one.meanMs, () => {
        report(one)
      })
    device.every(60 * SECOND, () => {
      device.publish(
        client,
        `${base}/bridge/health`,
        JSON.stringify({
          response_time: Date.now(),
          os: { load_average: [random.between(0, 1), random.between(0, 1)], memory_percent: random.between(20, 40) },
          mqtt: {
            connected: true,
            queued: 0,
            received: random.integer(100, 999),
            published: random.integer(1_000, 9_999)
          }
        }),
        { qos: 1, retain: true }
      )
    })
  }
}

function endpoint(random: RandomSource, name: string): Endpoint {
  const battery = random.integer(40, 100)
  const voltage = random.integer(2_800, 3_150)
  const quality = new Walk(random, 30, 255, 12)
  const celsius = new Walk(random, 16, 27, 0.15)
  const power = new Walk(random, 0, 1_900, 60)
  const common = (): Record<string, unknown> => ({ battery, linkquality: quality.round(0), voltage })
  const base = { name, address: `0x00158d00${random.hex(8)}`, meanMs: random.between(8, 40) * SECOND }
  switch (random.integer(0, 4)) {
    case 0:
      return {
        ...base,
        model: 'WSDCGQ11LM',
        reading: () => ({
          ...common(),
          temperature: celsius.round(2),
          humidity: Number(random.between(35, 60).toFixed(2)),
          pressure: random.integer(985, 1_030)
        })
      }
    case 1:
      return {
        ...base,
        model: 'MCCGQ11LM',
        reading: () => ({ ...common(), contact: random.chance(0.5), device_temperature: random.integer(18, 30) })
      }
    case 2:
      return {
        ...base,
        model: 'RTCGQ11LM',
        reading: () => ({
          ...common(),
          occupancy: random.chance(0.5),
          illuminance: random.integer(0, 900),
          illuminance_lux: random.integer(0, 900)
        })
      }
    case 3:
      return {
        ...base,
        model: 'TS011F',
        reading: () => ({
          state: random.oneOf(['ON', 'OFF']),
          power: power.round(0),
          current: Number((power.next() / 230).toFixed(2)),
          energy: Number(random.between(10, 90).toFixed(2)),
          linkquality: quality.round(0),
          voltage: random.integer(226, 236)
        })
      }
    default:
      return {
        ...base,
        model: 'LED1836G9',
        reading: () => ({
          brightness: random.integer(1, 254),
          color_mode: 'color_temp',
          color_temp: random.integer(250, 454),
          linkquality: quality.round(0),
          state: random.oneOf(['ON', 'OFF']),
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
