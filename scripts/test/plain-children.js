// Children of tests start as users start them. tap loads its module hooks into every one, for a coverage that is
// not measured here; a broker takes twice as long to start with them.

import process from 'node:process'
import processOnSpawn from 'process-on-spawn'

delete process.env.NODE_OPTIONS

processOnSpawn.addListener(child => {
  const env = { ...child.env }
  delete env.NODE_OPTIONS
  child.env = env
})
