// Software of the home: flows, Home Assistant, a recorder, and dashboards.

import type { DeviceKind } from '../device.js'

const SECOND = 1_000

/** Flows like Node-RED's. */
export const flow: DeviceKind = {
  name: 'flow',
  summary: 'Node-RED-like flows: subscribe, compute, republish (averages, alarms in text, a heartbeat)',
  residents: 3,
  ordinary: true,
  start(device) {
    const { random, home, name, party } = device
    const client = device.open({ clientId: `nodered_${random.hex(8)}`, keepalive: 60 })
    const values = new Map<string, number>()
    client.on('connect', () => {
      client.subscribe([`${home.base}/+/temperature`, `${home.zigbee}/+`, 'stat/+/POWER'], {
        qos: random.oneOf([0, 1] as const)
      })
    })
    client.on('message', (topic, payload) => {
      const number = Number(payload.toString())
      if (topic.endsWith('/temperature') && Number.isFinite(number)) values.set(topic, number)
      if (topic.endsWith('POWER') && random.chance(0.3))
        device.publish(
          client,
          `${home.base}/log/${name}`,
          `${topic.split('/')[1]} was switched ${payload.toString().toLowerCase()}`
        )
    })
    device.every(random.between(5, 15) * SECOND, () => {
      if (values.size === 0) return
      const mean = [...values.values()].reduce((sum, value) => sum + value, 0) / values.size
      device.publish(
        client,
        `${home.base}/average/${party.index}/temperature`,
        JSON.stringify({ value: Number(mean.toFixed(2)), sensors: values.size, at: Date.now() }),
        { retain: true }
      )
    })
    device.every(20 * SECOND, () => {
      device.publish(client, `${home.base}/flow/${name}/heartbeat`, String(Date.now()))
    })
  }
}

/** Home Assistant: discovers devices, subscribes to them, and sends commands. */
export const assistant: DeviceKind = {
  name: 'home-assistant',
  summary:
    'Home Assistant: discovery topics and a dozen filters in one SUBSCRIBE, retained birth and will, commands to plugs, lamps and switches',
  residents: 1,
  ordinary: false,
  start(device) {
    const { random, home } = device
    const clientId = random.text(22)
    const client = device.open({
      clientId,
      protocolVersion: 5,
      keepalive: 60,
      will: device.will(clientId, 'homeassistant/status', 'offline', { retain: true })
    })
    const plugs = home.namesOf('tasmota')
    const switches = home.namesOf('switch')
    client.on('connect', () => {
      client.subscribe(
        [
          'homeassistant/#',
          'tasmota/discovery/#',
          `${home.zigbee}/#`,
          ...plugs.map(plug => `tele/${plug}/#`),
          ...plugs.map(plug => `stat/${plug}/#`),
          ...switches.map(one => `${home.base}/${one}/+`),
          'frigate/+/person',
          'owntracks/#'
        ],
        { qos: 0 }
      )
      device.publish(client, 'homeassistant/status', 'online', { retain: true })
    })
    device.atRandomTimes(7 * SECOND, () => {
      device.publish(client, `cmnd/${random.oneOf(plugs)}/POWER`, random.oneOf(['ON', 'OFF', 'TOGGLE']))
    })
    device.atRandomTimes(9 * SECOND, () => {
      device.publish(client, `${home.base}/${random.oneOf(switches)}/set`, random.oneOf(['ON', 'OFF']), { qos: 1 })
    })
  }
}

/** A recorder like Telegraf: writes everything to a database. */
export const recorder: DeviceKind = {
  name: 'recorder',
  summary: 'a recorder: subscribes to # at QoS 0 or 1 and stores everything elsewhere',
  residents: 1,
  ordinary: false,
  start(device) {
    const { random } = device
    const client = device.open({
      clientId: `Telegraf-Consumer-${random.text(5)}`,
      keepalive: 60,
      clean: random.chance(0.5)
    })
    client.on('connect', () => {
      client.subscribe('#', { qos: random.oneOf([0, 1] as const) })
    })
  }
}

/** A dashboard in a browser or app: wildcard filters, occasional commands, and page reloads. */
export const dashboard: DeviceKind = {
  name: 'dashboard',
  summary: 'dashboards: wildcard filters at QoS 0 to 2, occasional commands, reloads; every second one over WebSocket',
  residents: 4,
  ordinary: true,
  start(device) {
    const { random, home, party } = device
    const transport = party.index % 2 === 0 ? 'websocket' : 'tcp'
    const switches = home.namesOf('switch')
    const filters = random.oneOf([
      [`${home.base}/#`],
      ['#'],
      [`${home.base}/+/temperature`, `${home.base}/+/humidity`, 'tele/+/SENSOR'],
      [`${home.zigbee}/+`, 'frigate/#']
    ])
    const qos = random.oneOf([0, 0, 1, 2] as const)
    const load = (): void => {
      const client = device.open({
        clientId: `${random.oneOf(['mqttjs', 'dash', 'webui'])}_${random.hex(8)}`,
        transport,
        keepalive: random.oneOf([15, 30, 60])
      })
      client.on('connect', () => {
        client.subscribe(filters, { qos })
      })
      const click = (): void => {
        if (client.disconnecting || client.disconnected) return
        device.publish(client, `${home.base}/${random.oneOf(switches)}/set`, random.oneOf(['ON', 'OFF']), {
          qos: random.oneOf([0, 1, 2])
        })
        device.after(random.exponential(15 * SECOND), click)
      }
      device.after(random.exponential(15 * SECOND), click)
      device.after(random.exponential(60 * SECOND), () => {
        client.end()
        device.after(random.between(500, 3_000), load)
      })
    }
    load()
  }
}
