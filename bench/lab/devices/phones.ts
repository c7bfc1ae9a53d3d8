// Telephones: where they are, in the manner of OwnTracks, over a network that comes and goes.

import type { DeviceKind } from '../device.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** A telephone. */
export const owntracks: DeviceKind = {
  name: 'owntracks',
  summary:
    'OwnTracks: location JSON at QoS 1, retained, over TLS where there is a listener, a session that lasts, cells lost now and then',
  residents: 4,
  ordinary: true,
  start(device) {
    const { chance, home, name } = device
    const topic = `owntracks/${name}`
    const clientId = name.replace('/', '')
    const user = name.split('/')[0]
    const trackerId = chance.hex(2)
    const client = device.open({
      clientId,
      clean: false,
      transport: 'tls',
      keepalive: 60,
      username: user,
      password: home.password(user),
      gathers: false,
      will: device.will(clientId, topic, JSON.stringify({ _type: 'lwt', tst: Math.floor(Date.now() / SECOND) }), {
        qos: 1
      })
    })
    const latitude = new Walk(chance, home.latitude - 0.05, home.latitude + 0.05, 0.0006)
    const longitude = new Walk(chance, home.longitude - 0.05, home.longitude + 0.05, 0.0009)
    const battery = new Walk(chance, 12, 100, 0.4)
    client.on('connect', () => {
      client.subscribe([`${topic}/cmd`, 'owntracks/+/+', 'owntracks/+/+/info'], { qos: 1 })
    })
    device.every(chance.between(8, 25) * SECOND, () => {
      device.publish(
        client,
        topic,
        JSON.stringify({
          _type: 'location',
          acc: chance.whole(4, 60),
          alt: chance.whole(90, 130),
          batt: battery.round(0),
          bs: 1,
          cog: chance.whole(0, 359),
          conn: chance.oneOf(['w', 'm']),
          lat: latitude.round(6),
          lon: longitude.round(6),
          m: 1,
          t: chance.oneOf(['u', 'p', 't']),
          tid: trackerId,
          tst: Math.floor(Date.now() / SECOND),
          vac: chance.whole(2, 10),
          vel: chance.whole(0, 60)
        }),
        { qos: 1, retain: true }
      )
    })
    device.sometimes(45 * SECOND, () => {
      device.lose(client)
    })
  }
}
