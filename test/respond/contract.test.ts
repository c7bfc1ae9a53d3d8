// The contract of every response. A new response needs one line here.

import { RESPONSES, type ResponseName } from '../../src/respond/catalog.js'
import { checkResponse, type ResponseTraits } from './contract.js'

const TRAITS: Record<ResponseName, ResponseTraits> = {
  observe: { disconnects: false, bans: false },
  disconnect: { disconnects: true, bans: false },
  ban: { disconnects: true, bans: true }
}

for (const name of Object.keys(RESPONSES) as ResponseName[]) checkResponse(name, TRAITS[name])
