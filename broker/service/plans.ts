// Which steps install the service and take it away again, given what is there already.

import { OperatorError } from '../../src/errors.js'
import { contentsOf, type TargetSystem, type Step } from './steps.js'
import { PATHS, SERVICE, settingsText, TAP_DROP_IN, unitText } from './unit.js'

/** The program that the service runs. */
export interface Program {
  node: string
  main: string
}

/** What is to be done, and what is to be said with it. */
export interface Plan {
  steps: Step[]
  /** Sentences for the end. */
  advice: string[]
}

/** Only root may read what is in there, or nobody but its owner; and the unit hides it (ProtectHome). */
const HIDDEN = /^\/(home|root|run\/user)\//

/**
 * What is missing for the service to be there; nothing where it is.
 *
 * @param portHolder the name of the program that holds the broker's port, if any
 * @throws OperatorError `service-program` where the service could not read the program
 */
export function installPlan(
  machine: TargetSystem,
  { node, main }: Program,
  hasTap: boolean,
  portHolder: string | undefined
): Plan {
  for (const file of [node, main]) {
    if (HIDDEN.test(file)) {
      throw new OperatorError(
        'service-program',
        `The service could not read ${file}: it has no access to home folders.`,
        'Install Node and this package for all users: "sudo npm install --global FILE" with the file that "npm pack" makes, and run artemis from there.'
      )
    }
  }
  const steps: Step[] = []
  if (!/^artemis:/m.test(contentsOf(machine, '/etc/passwd') ?? '')) {
    steps.push({
      kind: 'run',
      why: 'a user of its own, that nobody can log in as',
      command: [
        'useradd',
        '--system',
        '--user-group',
        '--no-create-home',
        '--home-dir',
        PATHS.data,
        '--shell',
        '/usr/sbin/nologin',
        SERVICE
      ]
    })
  }
  if (contentsOf(machine, PATHS.settings) === undefined) {
    steps.push(
      { kind: 'write', file: PATHS.settings, text: settingsText(hasTap), mode: 0o640 },
      {
        kind: 'run',
        why: 'its settings may name secrets: for root and the service only',
        command: ['chown', '-R', `root:${SERVICE}`, PATHS.settingsFolder]
      }
    )
  }
  const unit = unitText(node, main)
  const changes: Step[] = []
  if (contentsOf(machine, PATHS.unit) !== unit)
    changes.push({ kind: 'write', file: PATHS.unit, text: unit, mode: 0o644 })
  const dropIn = contentsOf(machine, PATHS.tapDropIn)
  if (hasTap && dropIn !== TAP_DROP_IN)
    changes.push({ kind: 'write', file: PATHS.tapDropIn, text: TAP_DROP_IN, mode: 0o644 })
  if (!hasTap && dropIn !== undefined) changes.push({ kind: 'remove', path: PATHS.tapDropIn })
  if (changes.length > 0)
    steps.push(...changes, {
      kind: 'run',
      why: 'systemd reads its units again',
      command: ['systemctl', 'daemon-reload']
    })
  if (steps.length === 0) return { steps, advice: afterwards(portHolder, false) }
  steps.push({ kind: 'run', why: 'it starts with the machine', command: ['systemctl', 'enable', SERVICE] })
  const isFree = portHolder === undefined || portHolder === SERVICE
  if (isFree)
    steps.push({
      kind: 'run',
      why: portHolder === SERVICE ? 'the broker that runs is stopped and started anew' : 'it starts now',
      command: ['systemctl', 'restart', SERVICE]
    })
  return { steps, advice: afterwards(portHolder, isFree) }
}

/** What takes the service away; settings, data and user stay unless all is to go. */
export function uninstallPlan(machine: TargetSystem, everything: boolean): Plan {
  const steps: Step[] = []
  if (contentsOf(machine, PATHS.unit) !== undefined) {
    steps.push(
      {
        kind: 'run',
        why: 'the broker is stopped, and no longer starts with the machine',
        command: ['systemctl', 'disable', '--now', SERVICE]
      },
      { kind: 'remove', path: PATHS.unit },
      { kind: 'remove', path: PATHS.dropIns },
      { kind: 'run', why: 'systemd reads its units again', command: ['systemctl', 'daemon-reload'] }
    )
  }
  if (everything) {
    steps.push({ kind: 'remove', path: PATHS.settingsFolder }, { kind: 'remove', path: PATHS.data })
    if (/^artemis:/m.test(contentsOf(machine, '/etc/passwd') ?? ''))
      steps.push({ kind: 'run', why: 'its user goes', command: ['userdel', SERVICE] })
  }
  const kept = everything
    ? []
    : [`${PATHS.settingsFolder}, ${PATHS.data} and the user ${SERVICE} stay; --purge removes them too.`]
  const advice = [...(steps.length === 0 ? [] : kept)]
  if (steps.length > 0 && contentsOf(machine, '/etc/mosquitto/mosquitto.conf') !== undefined)
    advice.push('To give mosquitto its place back: sudo systemctl enable --now mosquitto')
  return { steps, advice }
}

function afterwards(portHolder: string | undefined, isStarted: boolean): string[] {
  const doctor = `What is missing: sudo -u ${SERVICE} artemis doctor --config ${PATHS.settings}`
  if (isStarted) return [`It runs: systemctl status ${SERVICE}, journalctl -u ${SERVICE}`, doctor]
  if (portHolder === undefined || portHolder === SERVICE) return [doctor]
  if (portHolder === 'mosquitto') {
    return [
      'mosquitto runs on port 1883 and was left alone. To put Artemis in its place:',
      `  sudo systemctl disable --now mosquitto && sudo systemctl start ${SERVICE}`,
      'and to go back:',
      `  sudo systemctl disable --now ${SERVICE} && sudo systemctl enable --now mosquitto`,
      doctor
    ]
  }
  return [
    `${portHolder} runs on port 1883 and was left alone: stop it, or change the port in ${PATHS.settings}; then sudo systemctl start ${SERVICE}`,
    doctor
  ]
}
