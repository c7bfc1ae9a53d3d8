// A program of the lab: the devices of one link, each from its own address.

import { Device } from './device.js'
import { deviceKind } from './devices/catalog.js'
import { Home } from './home.js'
import { Ledger } from './ledger.js'
import { onLab, tellLab, type Cue } from './player.js'
import { assertLabTarget } from './target.js'

const devices: Device[] = []
let ledger: Ledger | undefined

function start({ plan, target, link, startsAt, ledger: path }: Cue): void {
  assertLabTarget(target)
  const home = new Home(plan.seed, plan.parties)
  const book = (ledger = new Ledger(path))
  for (const party of plan.parties) {
    if (party.role === 'attacker' || party.link !== link) continue
    setTimeout(
      () => {
        const device = new Device(party, home, target, book)
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
  await ledger?.close()
  tellLab({ kind: 'done', messages: ledger?.messages ?? 0 })
  process.disconnect()
  process.exit(0)
}

onLab(message => {
  if (message.kind === 'start') start(message)
  else if (message.kind === 'stop') void stop()
  else if (message.kind === 'client-ids')
    tellLab({
      kind: 'client-ids',
      ids: devices.filter(({ party }) => party.role === 'device').flatMap(({ clientIds }) => [...clientIds])
    })
})
