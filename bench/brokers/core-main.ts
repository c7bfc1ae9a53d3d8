// The program without its detection, a process of its own; the argument is its settings file.

import { AccessControl } from '../../broker/auth/access-control.js'
import { clientOrigins, listenerAuthOf } from '../../broker/auth/listener-auth.js'
import { readSettings } from '../../broker/config/settings.js'
import { Admission } from '../../broker/limits/admission.js'
import { limitLogins } from '../../broker/limits/logins.js'
import { LimitCounters } from '../../broker/limits/limit-counters.js'
import { Listeners } from '../../broker/listeners/listeners.js'
import { openLog } from '../../broker/process/log.js'
import { openBroker } from '../../broker/open-broker.js'

const { settings } = readSettings({ config: process.argv[2] })
const log = openLog(settings.log)
const tally = new LimitCounters(log)
const listeners = await Listeners.open(settings.listeners, {
  ...settings.limits,
  admission: new Admission(settings.limits, tally),
  tally,
  log
})
const access = await AccessControl.open(
  listenerAuthOf(settings),
  clientOrigins(settings.listeners),
  log,
  settings.limits.messageSize ?? undefined
)
const { broker } = await openBroker(settings, log, tally, {
  mayWait: (clientId, topic) => access.mayWait(clientId, topic)
})
access.guardLogins(broker)
limitLogins(broker, settings.limits.loginAttempts, tally)
access.guardTopics(broker)
listeners.accept((stream, request) => broker.handle(stream, request))
process.stderr.write(`port ${listeners.addresses[0]?.port}\n`)
// It ends with whoever started it.
process.stdin.resume().once('end', () => {
  process.exit()
})
