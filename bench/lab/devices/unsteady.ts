// What comes and goes: flaky devices with queues, scripts that run once, and a watch that looks whether the broker
// lives.

import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** A device with a bad radio and a session that lasts: misses messages, comes back, drains the queue. */
export const flaky: DeviceKind = {
  name: 'flaky',
  summary:
    "flaky devices: connection lost by reset or FIN every 15 to 60 s, away for 2 to 15 s, own messages queued meanwhile, the session's queue drained on return",
  residents: 5,
  ordinary: true,
  start(device) {
    const { chance, home, name } = device
    const clientId = `node-${chance.hex(6)}`
    const topic = `${home.base}/${name}`
    const client = device.open({
      clientId,
      clean: false,
      keepalive: chance.oneOf([10, 15]),
      reconnectPeriod: chance.whole(2, 15) * SECOND,
      will: device.will(clientId, `${topic}/status`, 'lost', { qos: 1, retain: true })
    })
    const qos = chance.oneOf([1, 2] as const)
    const celsius = new Walk(chance, 10, 35, 0.4)
    client.on('connect', () => {
      device.publish(client, `${topic}/status`, 'up', { qos: 1, retain: true })
      client.subscribe([`${home.base}/+/state`, `${home.base}/+/+/state`, `${home.base}/average/+/temperature`], {
        qos
      })
    })
    device.every(chance.between(2, 6) * SECOND, () => {
      device.publish(client, `${topic}/temperature`, celsius.text(2), { qos })
    })
    device.sometimes(chance.between(15, 60) * SECOND, () => {
      device.lose(client)
    })
  }
}

/** Scripts: one message by a client of its own, such as mosquitto_pub in a crontab. */
export const script: DeviceKind = {
  name: 'script',
  summary:
    'scripts: a new client id for every message (mosquitto_pub in a crontab), text, numbers or JSON, every 8 to 25 s',
  residents: 3,
  ordinary: true,
  start(device) {
    const { chance, home, name } = device
    const load = new Walk(chance, 0, 3, 0.2)
    const version = chance.oneOf([4, 4, 5] as const)
    device.every(chance.between(8, 25) * SECOND, () => {
      const client = device.open({
        clientId: `mosq-${chance.text(18)}`,
        reconnectPeriod: 0,
        keepalive: 60,
        protocolVersion: version
      })
      client.once('connect', () => {
        const payload = chance.oneOf([
          () => load.text(2),
          () =>
            JSON.stringify({ host: name, load: load.round(2), disk: chance.whole(20, 90), users: chance.whole(0, 3) }),
          () => `backup of ${name} finished, ${chance.whole(1, 900)} files, ${chance.whole(1, 60)} s`
        ])()
        device.publish(client, `${home.base}/server/${name}`, payload, {
          qos: chance.oneOf([0, 0, 1]),
          retain: chance.happens(0.3)
        })
        device.after(chance.between(5, 60), () => {
          client.end()
        })
      })
    })
  }
}

/** A watch: opens the port to see whether it answers, and sometimes asks for more. */
export const watch: DeviceKind = {
  name: 'watch',
  summary: 'a service monitor: opens the port and closes it every 20 to 40 s, and reads some of $SYS',
  residents: 1,
  ordinary: false,
  start(device) {
    const { chance } = device
    device.every(chance.between(20, 40) * SECOND, () => {
      const socket = device.socket()
      socket.once('connect', () => {
        socket.end()
      })
    })
    device.every(chance.between(25, 50) * SECOND, () => {
      const client = device.open({ clientId: `healthcheck-${chance.hex(4)}`, reconnectPeriod: 0 })
      client.once('connect', () => {
        client.subscribe('$SYS/broker/uptime')
        device.after(chance.between(200, 1_500), () => {
          client.end()
        })
      })
    })
  }
}
