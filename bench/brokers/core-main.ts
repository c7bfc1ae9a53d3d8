// The broker without detection, in its own process. Argument: the settings file.

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
const limitCounters = new LimitCounters(log)
const listeners = await Listeners.open(settings.listeners, {
  ...settings.limits,
  admission: new Admission(settings.limits, limitCounters),
  limitCounters,
  log
})
const access = await AccessControl.open(
  listenerAuthOf(settings),
  clientOrigins(settings.listeners),
  log,
  settings.limits.messageSize ?? undefined
)
const { broker } = await openBroker(settings, log, limitCounters, {
  mayWait: (clientId, topic) => access.mayReceive(clientId, topic)
})
access.hookLogins(broker)
limitLogins(broker, settings.limits.loginAttempts, limitCounters)
access.hookTopics(broker)
listeners.accept((stream, request) => broker.handle(stream, request))
process.stderr.write(`port ${listeners.addresses[0]?.port}\n`)
// Exit with the parent process.
process.stdin.resume().once('end', () => {
  process.exit()
})
