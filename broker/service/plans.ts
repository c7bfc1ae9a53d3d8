// The steps that install and remove the service, depending on the current state of the machine.

import { OperatorError } from '../../src/errors.js'
import { contentsOf, type TargetSystem, type Step } from './steps.js'
import { PATHS, SERVICE, settingsText, TAP_DROP_IN, unitText } from './unit.js'

/** The program that the service runs. */
export interface Program {
  node: string
  main: string
}

/** The steps of a command, and its advice to the operator. */
export interface Plan {
  steps: Step[]
  /** Lines printed at the end. */
  advice: string[]
}

/** Folders that the service cannot read: private to their owner, and hidden by the unit (ProtectHome). */
const HIDDEN = /^\/(home|root|run\/user)\//

/**
 * Returns the steps that are missing for the service to be installed; none if it is.
 *
 * @param portHolder the name of the program that uses the broker's port, if any
 * @throws OperatorError `service-program` if the service could not read the program
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
        `The service cannot read ${file}: it has no access to home folders.`,
        'Install Node.js and this package for all users: run "sudo npm install --global FILE" with the file from "npm pack", and run artemis from there.'
      )
    }
  }
  const steps: Step[] = []
  if (!/^artemis:/m.test(contentsOf(machine, '/etc/passwd') ?? '')) {
    steps.push({
      kind: 'run',
      why: 'creates a system user without login',
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
        why: 'restricts the settings, which may contain secrets, to root and the service',
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
      why: 'reloads the systemd units',
      command: ['systemctl', 'daemon-reload']
    })
  if (steps.length === 0) return { steps, advice: adviceAfterInstall(portHolder, false) }
  steps.push({ kind: 'run', why: 'starts the service at boot', command: ['systemctl', 'enable', SERVICE] })
  const isFree = portHolder === undefined || portHolder === SERVICE
  if (isFree)
    steps.push({
      kind: 'run',
      why: portHolder === SERVICE ? 'restarts the running broker' : 'starts the service',
      command: ['systemctl', 'restart', SERVICE]
    })
  return { steps, advice: adviceAfterInstall(portHolder, isFree) }
}

/** Returns the steps that remove the service, and with `everything` also settings, data and user. */
export function uninstallPlan(machine: TargetSystem, everything: boolean): Plan {
  const steps: Step[] = []
  if (contentsOf(machine, PATHS.unit) !== undefined) {
    steps.push(
      {
        kind: 'run',
        why: 'stops the service, and no longer starts it at boot',
        command: ['systemctl', 'disable', '--now', SERVICE]
      },
      { kind: 'remove', path: PATHS.unit },
      { kind: 'remove', path: PATHS.dropIns },
      { kind: 'run', why: 'reloads the systemd units', command: ['systemctl', 'daemon-reload'] }
    )
  }
  if (everything) {
    steps.push({ kind: 'remove', path: PATHS.settingsFolder }, { kind: 'remove', path: PATHS.data })
    if (/^artemis:/m.test(contentsOf(machine, '/etc/passwd') ?? ''))
      steps.push({ kind: 'run', why: 'deletes the user', command: ['userdel', SERVICE] })
  }
  const kept = everything
    ? []
    : [`${PATHS.settingsFolder}, ${PATHS.data} and the user ${SERVICE} are kept; use --purge to remove them.`]
  const advice = [...(steps.length === 0 ? [] : kept)]
  if (steps.length > 0 && contentsOf(machine, '/etc/mosquitto/mosquitto.conf') !== undefined)
    advice.push('To start mosquitto again: sudo systemctl enable --now mosquitto')
  return { steps, advice }
}

function adviceAfterInstall(portHolder: string | undefined, isStarted: boolean): string[] {
  const doctor = `To check the machine: sudo -u ${SERVICE} artemis doctor --config ${PATHS.settings}`
  if (isStarted) return [`The service is running: systemctl status ${SERVICE}, journalctl -u ${SERVICE}`, doctor]
  if (portHolder === undefined || portHolder === SERVICE) return [doctor]
  if (portHolder === 'mosquitto') {
    return [
      'mosquitto uses port 1883, so the service was not started. To replace mosquitto with Artemis:',
      `  sudo systemctl disable --now mosquitto && sudo systemctl start ${SERVICE}`,
      'To go back:',
      `  sudo systemctl disable --now ${SERVICE} && sudo systemctl enable --now mosquitto`,
      doctor
    ]
  }
  return [
    `${portHolder} uses port 1883, so the service was not started. Stop it, or change the port in ${PATHS.settings}, then run: sudo systemctl start ${SERVICE}`,
    doctor
  ]
}
