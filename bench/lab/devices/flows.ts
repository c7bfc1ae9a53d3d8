// Software of the house: flows that subscribe and publish again, the home's brain, and dashboards.

import type { DeviceKind } from '../device.js'

const SECOND = 1_000

/** Flows in the manner of Node-RED. */
export const flow: DeviceKind = {
  name: 'flow',
  summary: 'Node-RED-like flows: subscribe, compute, publish again (averages, alarms in text, a heartbeat)',
  residents: 3,
  ordinary: true,
  start(device) {
    const { chance, home, name, party } = device
    const client = device.open({ clientId: `nodered_${chance.hex(8)}`, keepalive: 60 })
    const values = new Map<string, number>()
    client.on('connect', () => {
      client.subscribe([`${home.base}/+/temperature`, `${home.zigbee}/+`, 'stat/+/POWER'], {
        qos: chance.oneOf([0, 1] as const)
      })
    })
    client.on('message', (topic, payload) => {
      const number = Number(payload.toString())
      if (topic.endsWith('/temperature') && Number.isFinite(number)) values.set(topic, number)
      if (topic.endsWith('POWER') && chance.happens(0.3))
        device.publish(
          client,
          `${home.base}/log/${name}`,
          `${topic.split('/')[1]} was switched ${payload.toString().toLowerCase()}`
        )
    })
    device.every(chance.between(5, 15) * SECOND, () => {
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

/** The brain, in the manner of Home Assistant: discovers, listens to all that it knows, commands. */
export const assistant: DeviceKind = {
  name: 'home-assistant',
  summary:
    'Home Assistant: discovery topics and a dozen filters in one SUBSCRIBE, retained birth and will, commands to plugs, lamps and switches',
  residents: 1,
  ordinary: false,
  start(device) {
    const { chance, home } = device
    const clientId = chance.text(22)
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
    device.sometimes(7 * SECOND, () => {
      device.publish(client, `cmnd/${chance.oneOf(plugs)}/POWER`, chance.oneOf(['ON', 'OFF', 'TOGGLE']))
    })
    device.sometimes(9 * SECOND, () => {
      device.publish(client, `${home.base}/${chance.oneOf(switches)}/set`, chance.oneOf(['ON', 'OFF']), { qos: 1 })
    })
  }
}

/** A recorder, in the manner of Telegraf: everything into a database. */
export const recorder: DeviceKind = {
  name: 'recorder',
  summary: 'a recorder: subscribes to # at QoS 0 or 1 and writes everything down elsewhere',
  residents: 1,
  ordinary: false,
  start(device) {
    const { chance } = device
    const client = device.open({
      clientId: `Telegraf-Consumer-${chance.text(5)}`,
      keepalive: 60,
      clean: chance.happens(0.5)
    })
    client.on('connect', () => {
      client.subscribe('#', { qos: chance.oneOf([0, 1] as const) })
    })
  }
}

/** A dashboard in a browser or an app: wildcards, a click now and then, the page loaded anew. */
export const dashboard: DeviceKind = {
  name: 'dashboard',
  summary:
    'dashboards: wildcard filters at QoS 0 to 2, a command now and then, reloads; every other one over WebSocket',
  residents: 4,
  ordinary: true,
  start(device) {
    const { chance, home, party } = device
    const transport = party.index % 2 === 0 ? 'websocket' : 'tcp'
    const switches = home.namesOf('switch')
    const filters = chance.oneOf([
      [`${home.base}/#`],
      ['#'],
      [`${home.base}/+/temperature`, `${home.base}/+/humidity`, 'tele/+/SENSOR'],
      [`${home.zigbee}/+`, 'frigate/#']
    ])
    const qos = chance.oneOf([0, 0, 1, 2] as const)
    const load = (): void => {
      const client = device.open({
        clientId: `${chance.oneOf(['mqttjs', 'dash', 'webui'])}_${chance.hex(8)}`,
        transport,
        keepalive: chance.oneOf([15, 30, 60])
      })
      client.on('connect', () => {
        client.subscribe(filters, { qos })
      })
      const click = (): void => {
        if (client.disconnecting || client.disconnected) return
        device.publish(client, `${home.base}/${chance.oneOf(switches)}/set`, chance.oneOf(['ON', 'OFF']), {
          qos: chance.oneOf([0, 1, 2])
        })
        device.after(chance.waiting(15 * SECOND), click)
      }
      device.after(chance.waiting(15 * SECOND), click)
      device.after(chance.waiting(60 * SECOND), () => {
        client.end()
        device.after(chance.between(500, 3_000), load)
      })
    }
    load()
  }
}
