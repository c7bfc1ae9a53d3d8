// The versions of Aedes that the plug-in supports.

import { Aedes, type AedesOptions } from 'aedes'
import { Aedes as Aedes1 } from 'aedes-1'

/** A version under test. */
export interface BrokerVersion {
  name: string
  /** Whether it supports MQTT 5. */
  mqtt5: boolean
  create(options?: AedesOptions): Promise<Aedes>
}

/** All versions; Aedes 1 has the type of Aedes 2. */
export const BROKER_VERSIONS: readonly BrokerVersion[] = [
  {
    name: 'Aedes 1',
    mqtt5: false,
    create: async options => await (Aedes1 as unknown as typeof Aedes).createBroker(options)
  },
  { name: 'Aedes 2', mqtt5: true, create: async options => await Aedes.createBroker(options) }
]

/** Closes a broker and all its clients. */
export async function closeBroker(broker: Aedes): Promise<void> {
  await new Promise<void>(resolve => {
    broker.close(() => {
      resolve()
    })
  })
}
