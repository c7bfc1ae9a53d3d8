// Sensors: DHT11 boards, ESPHome nodes, and battery sensors that sleep between readings.

import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** Temperature and humidity as plain numbers, like the common DHT11 sketch. */
export const dht11: DeviceKind = {
  name: 'dht11',
  summary: 'temperature and humidity as plain numbers, QoS 0, every 2 to 10 s; one board in five uses MQTT 3.1',
  residents: 10,
  ordinary: true,
  start(device) {
    const { random, home, name, party } = device
    const clientId = random.oneOf([
      `ESP8266Client-${random.hex(4)}`,
      `ESP-${random.hex(6).toUpperCase()}`,
      `dht11_${name}`
    ])
    const legacy = party.index % 5 === 4
    const client = device.open({ clientId, ...(legacy ? { protocolVersion: 3, protocolId: 'MQIsdp' } : {}) })
    const decimals = random.integer(0, 2)
    const celsius = new Walk(random, 17, 26, 0.15)
    const humidity = new Walk(random, 35, 65, 0.4)
    const retain = random.chance(0.3)
    device.every(random.between(2, 10) * SECOND, () => {
      device.publish(client, `${home.base}/${name}/temperature`, celsius.text(decimals), { retain })
      device.publish(client, `${home.base}/${name}/humidity`, humidity.text(decimals === 0 ? 0 : 1), { retain })
    })
  }
}

/** An ESPHome node: discovery, retained states with one topic each, log lines. */
export const esphome: DeviceKind = {
  name: 'esphome',
  summary:
    'ESPHome: Home Assistant discovery (retained JSON), one topic for each state, log lines in text, a retained will; one over TLS',
  residents: 6,
  ordinary: true,
  start(device) {
    const { random, name, party } = device
    const clientId = `${name}-${random.hex(12)}`
    const client = device.open({
      clientId,
      clean: false,
      transport: party.index === 0 ? 'tls' : 'tcp',
      will: device.will(clientId, `${name}/status`, 'offline', { retain: true })
    })
    const sensors = [
      { id: 'temperature', unit: '°C', walk: new Walk(random, 17, 26, 0.1), decimals: 1 },
      { id: 'humidity', unit: '%', walk: new Walk(random, 35, 65, 0.3), decimals: 1 },
      { id: 'co2', unit: 'ppm', walk: new Walk(random, 420, 1_400, 15), decimals: 0 },
      { id: 'pressure', unit: 'hPa', walk: new Walk(random, 985, 1_035, 0.2), decimals: 2 },
      { id: 'wifi_signal', unit: 'dBm', walk: new Walk(random, -82, -45, 1.5), decimals: 0 }
    ].slice(0, random.integer(2, 5))
    client.on('connect', () => {
      device.publish(client, `${name}/status`, 'online', { retain: true })
      for (const { id, unit } of sensors) {
        device.publish(
          client,
          `homeassistant/sensor/${name}/${id}/config`,
          JSON.stringify({
            dev_cla: id,
            unit_of_meas: unit,
            stat_cla: 'measurement',
            name: id,
            stat_t: `${name}/sensor/${id}/state`,
            avty_t: `${name}/status`,
            uniq_id: `${clientId}-sensor-${id}`,
            dev: { ids: clientId.slice(-12), name, sw: 'esphome v2024.12.4', mdl: 'esp32dev', mf: 'espressif' }
          }),
          { retain: true }
        )
      }
    })
    for (const { id, walk, decimals } of sensors) {
      device.every(random.between(6, 30) * SECOND, () => {
        const value = walk.text(decimals)
        device.publish(client, `${name}/sensor/${id}/state`, value, { retain: true })
        device.publish(
          client,
          `${name}/debug`,
          `[D][sensor:094]: '${name} ${id}': Sending state ${value} with ${decimals} decimals of accuracy`
        )
      })
    }
  }
}

/** A battery sensor: connects, publishes and disconnects. */
export const sleeper: DeviceKind = {
  name: 'sleeper',
  summary:
    'battery sensors: connect, publish one to three messages, disconnect, sleep 12 to 45 s; one with a TLS handshake each time',
  residents: 6,
  ordinary: true,
  start(device) {
    const { random, home, name, party } = device
    const clientId = `sensor-${random.hex(8)}`
    const battery = new Walk(random, 2.6, 3.3, 0.005)
    const moisture = new Walk(random, 20, 70, 1)
    const qos = random.oneOf([0, 1, 1] as const)
    const isJson = random.chance(0.5)
    device.every(random.between(12, 45) * SECOND, () => {
      const client = device.open({
        clientId,
        reconnectPeriod: 0,
        keepalive: 15,
        transport: party.index === 0 ? 'tls' : 'tcp'
      })
      client.once('connect', () => {
        if (isJson) {
          device.publish(
            client,
            `${home.base}/${name}/soil`,
            JSON.stringify({ moisture: moisture.round(1), battery: battery.round(2), rssi: -random.integer(50, 85) }),
            { qos, retain: true }
          )
        } else {
          device.publish(client, `${home.base}/${name}/soil/moisture`, moisture.text(1), { qos, retain: true })
          device.publish(client, `${home.base}/${name}/soil/battery`, battery.text(2), { qos, retain: true })
        }
        device.after(random.between(50, 400), () => {
          client.end()
        })
      })
    })
  }
}
