// The contract of every response; a new one is one line here.

import { RESPONSES, type ResponseName } from '../../src/respond/catalog.js'
import { checkResponse, type ResponseTraits } from './contract.js'

const TRAITS: Record<ResponseName, ResponseTraits> = {
  observe: { throwsOut: false, bans: false },
  disconnect: { throwsOut: true, bans: false },
  ban: { throwsOut: true, bans: true }
}

for (const name of Object.keys(RESPONSES) as ResponseName[]) checkResponse(name, TRAITS[name])
