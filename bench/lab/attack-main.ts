// Program of the lab: runs the attackers of one link, each from its own address, until the attack is over.

import { Attacker } from './attacker.js'
import { findAttack } from './attacks/catalog.js'
import { Home } from './home.js'
import { MessageLog } from './message-log.js'
import { onLabMessage, sendToLab, type StartMessage } from './program-messages.js'
import { assertLabTarget } from './target.js'
import { setTimeout as pause } from 'node:timers/promises'

const attackers: Attacker[] = []
const victims: string[] = []

async function start({ plan, target, link, startsAt, messageLog: path }: StartMessage): Promise<void> {
  assertLabTarget(target)
  const attack = findAttack(plan.attack ?? '')
  if (attack === undefined) throw new Error(`Unknown attack ${plan.attack}`)
  const log = new MessageLog(path)
  const scene = {
    target,
    home: new Home(plan.seed, plan.parties),
    messageLog: log,
    victims,
    inject: (packet: Buffer) => {
      sendToLab({ kind: 'inject', packet: packet.toString('base64') })
    }
  }
  const ours = plan.parties.filter(({ role, link: on }) => role === 'attacker' && on === link)
  await Promise.all(
    ours.map(async party => {
      await pause(Math.max(0, startsAt + party.arriveMs - Date.now()))
      const attacker = new Attacker(party, scene, Math.max(0, startsAt + plan.attackToMs - Date.now()))
      attackers.push(attacker)
      await attack.run(attacker)
      attacker.stop()
    })
  )
  await log.close()
  sendToLab({ kind: 'done', messages: log.messages })
}

onLabMessage(message => {
  if (message.kind === 'start') {
    void start(message).then(() => {
      process.disconnect()
    })
  } else if (message.kind === 'victims') {
    victims.push(...message.ids)
  } else if (message.kind === 'stop') {
    for (const attacker of attackers) attacker.stop()
  }
})
