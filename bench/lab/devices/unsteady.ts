// Short-lived connections: flaky devices with queues, one-shot scripts, and a service monitor.

import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** A device with a bad radio and a persistent session: loses the connection, reconnects, and drains the queue. */
export const flaky: DeviceKind = {
  name: 'flaky',
  summary:
    "flaky devices: connection lost by reset or FIN every 15 to 60 s, offline for 2 to 15 s, own messages queued meanwhile, the session's queue drained on return",
  residents: 5,
  ordinary: true,
  start(device) {
    const { random, home, name } = device
    const clientId = `node-${random.hex(6)}`
    const topic = `${home.base}/${name}`
    const client = device.open({
      clientId,
      clean: false,
      keepalive: random.oneOf([10, 15]),
      reconnectPeriod: random.integer(2, 15) * SECOND,
      will: device.will(clientId, `${topic}/status`, 'lost', { qos: 1, retain: true })
    })
    const qos = random.oneOf([1, 2] as const)
    const celsius = new Walk(random, 10, 35, 0.4)
    client.on('connect', () => {
      device.publish(client, `${topic}/status`, 'up', { qos: 1, retain: true })
      client.subscribe([`${home.base}/+/state`, `${home.base}/+/+/state`, `${home.base}/average/+/temperature`], {
        qos
      })
    })
    device.every(random.between(2, 6) * SECOND, () => {
      device.publish(client, `${topic}/temperature`, celsius.text(2), { qos })
    })
    device.atRandomTimes(random.between(15, 60) * SECOND, () => {
      device.lose(client)
    })
  }
}

/** Scripts: each message from a new client, such as mosquitto_pub in a crontab. */
export const script: DeviceKind = {
  name: 'script',
  summary:
    'scripts: a new client id for every message (mosquitto_pub in a crontab), text, numbers or JSON, every 8 to 25 s',
  residents: 3,
  ordinary: true,
  start(device) {
    const { random, home, name } = device
    const load = new Walk(random, 0, 3, 0.2)
    const version = random.oneOf([4, 4, 5] as const)
    device.every(random.between(8, 25) * SECOND, () => {
      const client = device.open({
        clientId: `mosq-${random.text(18)}`,
        reconnectPeriod: 0,
        keepalive: 60,
        protocolVersion: version
      })
      client.once('connect', () => {
        const payload = random.oneOf([
          () => load.text(2),
          () =>
            JSON.stringify({
              host: name,
              load: load.round(2),
              disk: random.integer(20, 90),
              users: random.integer(0, 3)
            }),
          () => `backup of ${name} finished, ${random.integer(1, 900)} files, ${random.integer(1, 60)} s`
        ])()
        device.publish(client, `${home.base}/server/${name}`, payload, {
          qos: random.oneOf([0, 0, 1]),
          retain: random.chance(0.3)
        })
        device.after(random.between(5, 60), () => {
          client.end()
        })
      })
    })
  }
}

/** A service monitor: checks that the port is open, and sometimes reads $SYS. */
export const watch: DeviceKind = {
  name: 'watch',
  summary: 'a service monitor: opens the port and closes it every 20 to 40 s, and reads some of $SYS',
  residents: 1,
  ordinary: false,
  start(device) {
    const { random } = device
    device.every(random.between(20, 40) * SECOND, () => {
      const socket = device.socket()
      socket.once('connect', () => {
        socket.end()
      })
    })
    device.every(random.between(25, 50) * SECOND, () => {
      const client = device.open({ clientId: `healthcheck-${random.hex(4)}`, reconnectPeriod: 0 })
      client.once('connect', () => {
        client.subscribe('$SYS/broker/uptime')
        device.after(random.between(200, 1_500), () => {
          client.end()
        })
      })
    })
  }
}
