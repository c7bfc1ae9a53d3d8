// Types for the parts of aedes-persistence-level in use; the package has none.

declare module 'aedes-persistence-level' {
  import type { Level } from 'level'

  function levelPersistence(db: Level): object
  export = levelPersistence
}
