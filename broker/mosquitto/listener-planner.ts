// Which listeners of a mosquitto.conf are opened, where, and for whom.

import { DEFAULT_PORT, hostsOf, loopbackHosts, type Draft, type HostNetwork, type PlacedSettings } from './drafts.js'
import type { Note } from './note.js'

/** A listener as settings of artemis.yaml. */
export interface OpenListener {
  place: string
  settings: PlacedSettings
}

/** What holds for the file as a whole. */
interface Whole {
  /** Its name. */
  file: string
  /** There is no listener in it: this machine alone is served. */
  isLocal: boolean
  perListener: boolean
}

/** Turns drafts into listeners, with what mosquitto takes for granted; adds notes on what is left out. */
export class ListenerPlanner {
  readonly #machine: HostNetwork
  readonly #whole: Whole
  readonly #notes: Note[]

  constructor(machine: HostNetwork, whole: Whole, notes: Note[]) {
    this.#machine = machine
    this.#whole = whole
    this.#notes = notes
  }

  /** Without a listener mosquitto serves this machine alone, with none of a listener's own settings. */
  local({ settings, place, security }: Draft): OpenListener[] {
    for (const [key, { place }] of settings) {
      this.#notes.push({
        place,
        name: key,
        support: 'not followed',
        text: 'There is no listener above it: the broker serves this machine alone, without it.'
      })
    }
    return this.#listeners(loopbackHosts(this.#machine), DEFAULT_PORT, place, [], security)
  }

  /** One for each of its addresses; none where it would let in more than it should. */
  open(draft: Draft): OpenListener[] {
    const { place, port, settings, security } = draft
    const obstacle = obstacleOf(draft)
    if (obstacle !== null) {
      this.#notes.push({
        place,
        name: 'listener',
        support: 'not followed',
        text: `Port ${port} is not opened, because of ${obstacle.name} at ${obstacle.place}.`
      })
      return []
    }
    const isEncrypted = settings.has('tls.cert') || settings.has('tls.key')
    const own = [...settings].filter(([key]) => isEncrypted || !key.startsWith('tls.'))
    for (const [key, { place }] of settings) {
      if (key.startsWith('tls.') && !isEncrypted)
        this.#notes.push({
          place,
          name: key,
          support: 'not followed',
          text: 'Without certfile and keyfile the listener is not encrypted, here as in mosquitto.'
        })
    }
    return this.#listeners(hostsOf(draft, this.#machine), port, place, own, security)
  }

  /** Who may come in. */
  securityOf(given: PlacedSettings): PlacedSettings {
    const { file, isLocal } = this.#whole
    const plugin = given.get('plugin')
    const settings = new Map([...given].filter(([key]) => key !== 'plugin'))
    if (plugin !== undefined) settings.set('allowAnonymous', { value: false, place: plugin.place })
    else if (!settings.has('allowAnonymous'))
      settings.set('allowAnonymous', { value: isLocal, place: `${file} (mosquitto's default)` })
    return settings
  }

  #listeners(
    hosts: readonly string[],
    port: number,
    place: string,
    own: Iterable<[string, { value: unknown; place: string }]>,
    given: PlacedSettings
  ): OpenListener[] {
    const security = this.#whole.perListener ? this.securityOf(given) : []
    return hosts.map(host => ({
      place,
      settings: new Map([['host', { value: host, place }], ['port', { value: port, place }], ...own, ...security])
    }))
  }
}

/** What keeps a listener from being opened. */
function obstacleOf({ closedBy, authorities, settings }: Draft): Draft['closedBy'] {
  const needsAuthority = settings.get('tls.requireClientCertificate')?.value === true && !settings.has('tls.ca')
  return closedBy ?? (needsAuthority ? authorities : null)
}
