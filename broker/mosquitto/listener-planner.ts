// Decides which listeners of a mosquitto.conf are opened, on which addresses, and with which authentication.

import { DEFAULT_PORT, hostsOf, loopbackHosts, type Draft, type HostNetwork, type PlacedSettings } from './drafts.js'
import type { Note } from './note.js'

/** A listener in the form of artemis.yaml. */
export interface OpenListener {
  place: string
  settings: PlacedSettings
}

/** Properties of the properties file. */
interface FileProperties {
  /** Name of the file. */
  file: string
  /** The file has no listener, so only this machine is served. */
  isLocal: boolean
  perListener: boolean
}

/** Turns drafts into listeners with mosquitto's defaults; adds notes on ignored directives. */
export class ListenerPlanner {
  readonly #machine: HostNetwork
  readonly #properties: FileProperties
  readonly #notes: Note[]

  constructor(machine: HostNetwork, properties: FileProperties, notes: Note[]) {
    this.#machine = machine
    this.#properties = properties
    this.#notes = notes
  }

  /** Returns the loopback listeners of a file without a listener. mosquitto ignores listener directives in it. */
  local({ settings, place, security }: Draft): OpenListener[] {
    for (const [key, { place }] of settings) {
      this.#notes.push({
        place,
        name: key,
        support: 'not followed',
        text: 'Ignored without a listener above it: the broker only serves this machine.'
      })
    }
    return this.#listeners(loopbackHosts(this.#machine), DEFAULT_PORT, place, [], security)
  }

  /** Returns a listener for each address; none if it would allow more access than intended. */
  open(draft: Draft): OpenListener[] {
    const { place, port, settings, security } = draft
    const obstacle = obstacleOf(draft)
    if (obstacle !== null) {
      this.#notes.push({
        place,
        name: 'listener',
        support: 'not followed',
        text: `Port ${port} is not opened because of ${obstacle.name} at ${obstacle.place}.`
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
          text: 'Without certfile and keyfile the listener is not encrypted, as in mosquitto.'
        })
    }
    return this.#listeners(hostsOf(draft, this.#machine), port, place, own, security)
  }

  /** Adds mosquitto's default for anonymous clients; refuses them if a plug-in is configured. */
  securityOf(given: PlacedSettings): PlacedSettings {
    const { file, isLocal } = this.#properties
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
    const security = this.#properties.perListener ? this.securityOf(given) : []
    return hosts.map(host => ({
      place,
      settings: new Map([['host', { value: host, place }], ['port', { value: port, place }], ...own, ...security])
    }))
  }
}

/** Returns the directive that keeps a listener closed. */
function obstacleOf({ closedBy, capath, settings }: Draft): Draft['closedBy'] {
  const needsCapath = settings.get('tls.requireClientCertificate')?.value === true && !settings.has('tls.ca')
  return closedBy ?? (needsCapath ? capath : null)
}
