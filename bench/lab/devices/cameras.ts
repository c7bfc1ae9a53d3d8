// Cameras: events in JSON, and pictures of tens of kilobytes.

import type { DeviceKind } from '../device.js'

const SECOND = 1_000
const JPEG_START = Buffer.from('ffd8ffe000104a46494600010101004800480000ffdb0043', 'hex')
const JPEG_END = Buffer.from('ffd9', 'hex')

/** A camera with object detection, like Frigate. */
export const camera: DeviceKind = {
  name: 'camera',
  summary: 'cameras: events in nested JSON, then a JPEG of 8 to 90 kB, retained; a count every few seconds',
  residents: 4,
  ordinary: true,
  start(device) {
    const { random, name } = device
    const clientId = `frigate-${name}`
    const client = device.open({
      clientId,
      keepalive: 60,
      will: device.will(clientId, `frigate/${name}/available`, 'offline', { retain: true })
    })
    client.on('connect', () => {
      device.publish(client, `frigate/${name}/available`, 'online', { retain: true })
    })
    const bytes = [random.integer(8_000, 20_000), random.integer(25_000, 90_000)]
    device.every(random.between(5, 12) * SECOND, () => {
      device.publish(client, `frigate/${name}/person`, String(random.integer(0, 2)), { retain: true })
    })
    device.atRandomTimes(random.between(12, 30) * SECOND, () => {
      const id = `${(Date.now() / SECOND).toFixed(6)}-${random.text(6)}`
      const label = random.oneOf(['person', 'car', 'dog', 'cat'])
      const object = (): Record<string, unknown> => ({
        id,
        camera: name,
        frame_time: Date.now() / SECOND,
        snapshot: {
          frame_time: Date.now() / SECOND,
          box: [random.integer(0, 640), random.integer(0, 360), random.integer(641, 1_280), random.integer(361, 720)],
          area: random.integer(2_000, 60_000),
          score: random.between(0.6, 0.95)
        },
        label,
        sub_label: null,
        top_score: random.between(0.6, 0.95),
        false_positive: false,
        start_time: Date.now() / SECOND,
        end_time: null,
        score: random.between(0.5, 0.9),
        current_zones: [],
        entered_zones: [],
        has_clip: true,
        has_snapshot: true
      })
      device.publish(client, 'frigate/events', JSON.stringify({ before: object(), after: object(), type: 'new' }))
      device.after(random.between(300, 1_500), () => {
        const size = Math.round(random.between(bytes[0], bytes[1]))
        device.publish(
          client,
          `frigate/${name}/${label}/snapshot`,
          Buffer.concat([JPEG_START, random.bytes(size), JPEG_END]),
          { retain: true }
        )
      })
    })
  }
}
