// Radio gateways: they forward encrypted or raw data, so benign payloads include base64 and hex.

import type { DeviceKind } from '../device.js'

const SECOND = 1_000

/** A LoRaWAN network server like ChirpStack, or a 433 MHz bridge like Tasmota's. */
export const gateway: DeviceKind = {
  name: 'radio-gateway',
  summary: 'radio gateways: LoRaWAN uplinks in JSON with encrypted data as base64, and 433 MHz codes as hex',
  residents: 4,
  ordinary: true,
  start(device) {
    const { random, home, name, party } = device
    const isLora = party.index % 2 === 0
    const client = device.open({ clientId: `${isLora ? 'chirpstack' : 'rfbridge'}-${random.hex(6)}`, keepalive: 30 })
    if (!isLora) {
      const codes = Array.from({ length: random.integer(3, 9) }, () => random.hex(6).toUpperCase())
      device.atRandomTimes(random.between(4, 12) * SECOND, () => {
        if (random.chance(0.7))
          device.publish(
            client,
            `tele/${name}_rf/RESULT`,
            JSON.stringify({
              Time: new Date().toISOString().slice(0, 19),
              RfReceived: {
                Sync: random.integer(9_000, 13_000),
                Low: random.integer(280, 400),
                High: random.integer(900, 1_200),
                Data: random.oneOf(codes),
                RfKey: 'None'
              }
            })
          )
        else
          device.publish(
            client,
            `${home.base}/${name}/rf/raw`,
            `AAB0${random.hex(random.integer(20, 60)).toUpperCase()}55`
          )
      })
      return
    }
    const application = random.integer(1, 20)
    const nodes = Array.from({ length: random.integer(4, 10) }, (_, i) => ({
      devEui: random.hex(16),
      name: `node-${i}`,
      count: random.integer(1, 9_000)
    }))
    device.atRandomTimes(random.between(3, 8) * SECOND, () => {
      const node = random.oneOf(nodes)
      device.publish(
        client,
        `application/${application}/device/${node.devEui}/event/up`,
        JSON.stringify({
          deduplicationId: `${random.hex(8)}-${random.hex(4)}-${random.hex(4)}`,
          time: new Date().toISOString(),
          deviceInfo: { applicationName: 'fields', deviceName: node.name, devEui: node.devEui },
          devAddr: random.hex(8),
          adr: true,
          dr: random.integer(0, 5),
          fCnt: ++node.count,
          fPort: random.integer(1, 10),
          confirmed: false,
          data: random.bytes(random.integer(8, 50)).toString('base64'),
          rxInfo: [
            {
              gatewayId: random.hex(16),
              rssi: -random.integer(60, 120),
              snr: Number(random.between(-15, 12).toFixed(1))
            }
          ]
        }),
        { qos: random.oneOf([0, 1]) }
      )
    })
  }
}
