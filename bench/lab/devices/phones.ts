// Phones: locations like OwnTracks, over an unreliable network.

import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** A phone. */
export const owntracks: DeviceKind = {
  name: 'owntracks',
  summary:
    'OwnTracks: location JSON at QoS 1, retained, over TLS if there is a listener, a persistent session, connection lost now and then',
  residents: 4,
  ordinary: true,
  start(device) {
    const { random, home, name } = device
    const topic = `owntracks/${name}`
    const clientId = name.replace('/', '')
    const user = name.split('/')[0]
    const trackerId = random.hex(2)
    const client = device.open({
      clientId,
      clean: false,
      transport: 'tls',
      keepalive: 60,
      username: user,
      password: home.password(user),
      nagle: false,
      will: device.will(clientId, topic, JSON.stringify({ _type: 'lwt', tst: Math.floor(Date.now() / SECOND) }), {
        qos: 1
      })
    })
    const latitude = new Walk(random, home.latitude - 0.05, home.latitude + 0.05, 0.0006)
    const longitude = new Walk(random, home.longitude - 0.05, home.longitude + 0.05, 0.0009)
    const battery = new Walk(random, 12, 100, 0.4)
    client.on('connect', () => {
      client.subscribe([`${topic}/cmd`, 'owntracks/+/+', 'owntracks/+/+/info'], { qos: 1 })
    })
    device.every(random.between(8, 25) * SECOND, () => {
      device.publish(
        client,
        topic,
        JSON.stringify({
          _type: 'location',
          acc: random.integer(4, 60),
          alt: random.integer(90, 130),
          batt: battery.round(0),
          bs: 1,
          cog: random.integer(0, 359),
          conn: random.oneOf(['w', 'm']),
          lat: latitude.round(6),
          lon: longitude.round(6),
          m: 1,
          t: random.oneOf(['u', 'p', 't']),
          tid: trackerId,
          tst: Math.floor(Date.now() / SECOND),
          vac: random.integer(2, 10),
          vel: random.integer(0, 60)
        }),
        { qos: 1, retain: true }
      )
    })
    device.atRandomTimes(45 * SECOND, () => {
      device.lose(client)
    })
  }
}
