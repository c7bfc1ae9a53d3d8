// A program of the lab: the attackers of one link, each from its own address, until the attack is over.

import { Attacker } from './attacker.js'
import { findAttack } from './attacks/catalog.js'
import { Home } from './home.js'
import { Ledger } from './ledger.js'
import { onLab, tellLab, type Cue } from './player.js'
import { assertLabTarget } from './target.js'
import { setTimeout as pause } from 'node:timers/promises'

const attackers: Attacker[] = []
const victims: string[] = []

async function start({ plan, target, link, startsAt, ledger: path }: Cue): Promise<void> {
  assertLabTarget(target)
  const attack = findAttack(plan.attack ?? '')
  if (attack === undefined) throw new Error(`there is no attack called ${plan.attack}`)
  const book = new Ledger(path)
  const scene = {
    target,
    home: new Home(plan.seed, plan.parties),
    ledger: book,
    victims,
    inject: (packet: Buffer) => {
      tellLab({ kind: 'inject', packet: packet.toString('base64') })
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
  await book.close()
  tellLab({ kind: 'done', messages: book.messages })
}

onLab(message => {
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
