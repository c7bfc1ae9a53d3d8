// Tasmota plugs: telemetry in JSON, commands and results, a will.

import type { DeviceKind } from '../device.js'
import { PLUG_USER } from '../home.js'
import { Walk } from './walk.js'

const SECOND = 1_000

/** A metering plug. */
export const tasmota: DeviceKind = {
  name: 'tasmota',
  summary: 'Tasmota plugs: STATE and SENSOR in JSON every 10 to 30 s, cmnd/stat topics, retained LWT and discovery',
  residents: 8,
  ordinary: true,
  start(device) {
    const { random, home, name } = device
    const mac = random.hex(12).toUpperCase()
    const clientId = `DVES_${mac.slice(-6)}`
    const client = device.open({
      clientId,
      keepalive: 30,
      username: PLUG_USER,
      password: home.password(PLUG_USER),
      will: device.will(clientId, `tele/${name}/LWT`, 'Offline', { qos: 1, retain: true })
    })
    const startedAt = Date.now() - random.between(1e6, 1e9)
    const power = new Walk(random, 2, 1_800, 40)
    const volts = new Walk(random, 224, 238, 0.6)
    let total = random.between(5, 900)
    let on = random.chance(0.6)
    const time = (): string => new Date().toISOString().slice(0, 19)
    client.on('connect', () => {
      device.publish(client, `tele/${name}/LWT`, 'Online', { retain: true })
      device.publish(client, `cmnd/${name}/POWER`, '')
      device.publish(
        client,
        `tasmota/discovery/${mac}/config`,
        JSON.stringify({
          ip: device.party.address,
          dn: name,
          fn: [name, null, null, null],
          hn: name,
          mac,
          md: 'Nous A1T',
          ty: 0,
          if: 0,
          cam: 0,
          ofln: 'Offline',
          onln: 'Online',
          state: ['OFF', 'ON', 'TOGGLE', 'HOLD'],
          sw: '14.3.0',
          t: name,
          ft: '%prefix%/%topic%/',
          tp: ['cmnd', 'stat', 'tele'],
          rl: [1, 0, 0, 0],
          swc: [-1, -1, -1],
          swn: [null, null],
          btn: [0, 0, 0],
          so: { 4: 0, 11: 0, 13: 0, 17: 0, 20: 0, 30: 0 },
          lk: 0,
          lt_st: 0,
          ver: 1
        }),
        { retain: true }
      )
      client.subscribe([`cmnd/${name}/#`, 'cmnd/tasmotas/#', `cmnd/${clientId}_fb/#`])
    })
    client.on('message', (topic, payload) => {
      const text = payload.toString()
      if (topic !== `cmnd/${name}/POWER` || !/^(ON|OFF|TOGGLE)$/.test(text)) return
      on = text === 'TOGGLE' ? !on : text === 'ON'
      device.publish(client, `stat/${name}/RESULT`, JSON.stringify({ POWER: on ? 'ON' : 'OFF' }))
      device.publish(client, `stat/${name}/POWER`, on ? 'ON' : 'OFF')
    })
    device.every(random.between(10, 30) * SECOND, () => {
      const uptime = Math.floor((Date.now() - startedAt) / SECOND)
      device.publish(
        client,
        `tele/${name}/STATE`,
        JSON.stringify({
          Time: time(),
          Uptime: `${Math.floor(uptime / 86_400)}T${new Date((uptime % 86_400) * SECOND).toISOString().slice(11, 19)}`,
          UptimeSec: uptime,
          Heap: random.integer(22, 29),
          SleepMode: 'Dynamic',
          Sleep: 50,
          LoadAvg: 19,
          MqttCount: random.integer(1, 5),
          POWER: on ? 'ON' : 'OFF',
          Wifi: {
            AP: 1,
            SSId: 'home',
            BSSId: '74:AC:B9:11:22:33',
            Channel: 6,
            Mode: '11n',
            RSSI: random.integer(50, 100),
            Signal: -random.integer(45, 75),
            LinkCount: 1,
            Downtime: '0T00:00:03'
          }
        })
      )
      const watts = on ? power.round(0) : 0
      total += (watts / 3.6e6) * 20
      device.publish(
        client,
        `tele/${name}/SENSOR`,
        JSON.stringify({
          Time: time(),
          ENERGY: {
            TotalStartTime: '2024-02-11T09:12:44',
            Total: Number(total.toFixed(3)),
            Yesterday: Number(random.between(0, 4).toFixed(3)),
            Today: Number((total % 4).toFixed(3)),
            Period: Math.round(watts / 60),
            Power: watts,
            ApparentPower: Math.round(watts * 1.1),
            ReactivePower: Math.round(watts * 0.3),
            Factor: 0.94,
            Voltage: volts.round(0),
            Current: Number((watts / 230).toFixed(3))
          }
        })
      )
    })
    device.atRandomTimes(40 * SECOND, () => {
      on = !on
      device.publish(client, `stat/${name}/RESULT`, JSON.stringify({ POWER: on ? 'ON' : 'OFF' }))
      device.publish(client, `stat/${name}/POWER`, on ? 'ON' : 'OFF')
    })
  }
}
