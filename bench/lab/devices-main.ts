// Program of the lab: runs the devices of one link, each from its own address.

import { Device } from './device.js'
import { deviceKind } from './devices/catalog.js'
import { Home } from './home.js'
import { MessageLog } from './message-log.js'
import { onLabMessage, sendToLab, type StartMessage } from './program-messages.js'
import { assertLabTarget } from './target.js'

const devices: Device[] = []
let messageLog: MessageLog | undefined

function start({ plan, target, link, startsAt, messageLog: path }: StartMessage): void {
  assertLabTarget(target)
  const home = new Home(plan.seed, plan.parties)
  const log = (messageLog = new MessageLog(path))
  for (const party of plan.parties) {
    if (party.role === 'attacker' || party.link !== link) continue
    setTimeout(
      () => {
        const device = new Device(party, home, target, log)
        devices.push(device)
        deviceKind(party.kind).start(device)
      },
      startsAt + party.arriveMs - Date.now()
    )
  }
}

async function stop(): Promise<void> {
  await Promise.all(
    devices.map(async device => {
      await device.stop()
    })
  )
  await messageLog?.close()
  sendToLab({ kind: 'done', messages: messageLog?.messages ?? 0 })
  process.disconnect()
  process.exit(0)
}

onLabMessage(message => {
  if (message.kind === 'start') start(message)
  else if (message.kind === 'stop') void stop()
  else if (message.kind === 'client-ids')
    sendToLab({
      kind: 'client-ids',
      ids: devices.filter(({ party }) => party.role === 'device').flatMap(({ clientIds }) => [...clientIds])
    })
})
