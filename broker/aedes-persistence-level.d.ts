// What we use of aedes-persistence-level, which comes without types.

declare module 'aedes-persistence-level' {
  import type { Level } from 'level'

  function levelPersistence(db: Level): object
  export = levelPersistence
}
