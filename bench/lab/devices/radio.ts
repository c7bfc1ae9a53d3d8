// Gateways of other radios: what they hear is encrypted or raw, so benign payloads hold base64 and hex, too.

import type { DeviceKind } from '../device.js'

const SECOND = 1_000

/** A LoRaWAN network server in the manner of ChirpStack, or a bridge for 433 MHz in the manner of Tasmota. */
export const gateway: DeviceKind = {
  name: 'radio-gateway',
  summary: 'radio gateways: LoRaWAN uplinks in JSON with encrypted data as base64, and codes heard at 433 MHz as hex',
  residents: 4,
  ordinary: true,
  start(device) {
    const { chance, home, name, party } = device
    const isLora = party.index % 2 === 0
    const client = device.open({ clientId: `${isLora ? 'chirpstack' : 'rfbridge'}-${chance.hex(6)}`, keepalive: 30 })
    if (!isLora) {
      const codes = Array.from({ length: chance.whole(3, 9) }, () => chance.hex(6).toUpperCase())
      device.sometimes(chance.between(4, 12) * SECOND, () => {
        if (chance.happens(0.7))
          device.publish(
            client,
            `tele/${name}_rf/RESULT`,
            JSON.stringify({
              Time: new Date().toISOString().slice(0, 19),
              RfReceived: {
                Sync: chance.whole(9_000, 13_000),
                Low: chance.whole(280, 400),
                High: chance.whole(900, 1_200),
                Data: chance.oneOf(codes),
                RfKey: 'None'
              }
            })
          )
        else
          device.publish(
            client,
            `${home.base}/${name}/rf/raw`,
            `AAB0${chance.hex(chance.whole(20, 60)).toUpperCase()}55`
          )
      })
      return
    }
    const application = chance.whole(1, 20)
    const nodes = Array.from({ length: chance.whole(4, 10) }, (_, i) => ({
      devEui: chance.hex(16),
      name: `node-${i}`,
      count: chance.whole(1, 9_000)
    }))
    device.sometimes(chance.between(3, 8) * SECOND, () => {
      const node = chance.oneOf(nodes)
      device.publish(
        client,
        `application/${application}/device/${node.devEui}/event/up`,
        JSON.stringify({
          deduplicationId: `${chance.hex(8)}-${chance.hex(4)}-${chance.hex(4)}`,
          time: new Date().toISOString(),
          deviceInfo: { applicationName: 'fields', deviceName: node.name, devEui: node.devEui },
          devAddr: chance.hex(8),
          adr: true,
          dr: chance.whole(0, 5),
          fCnt: ++node.count,
          fPort: chance.whole(1, 10),
          confirmed: false,
          data: chance.bytes(chance.whole(8, 50)).toString('base64'),
          rxInfo: [
            { gatewayId: chance.hex(16), rssi: -chance.whole(60, 120), snr: Number(chance.between(-15, 12).toFixed(1)) }
          ]
        }),
        { qos: chance.oneOf([0, 1]) }
      )
    })
  }
}
