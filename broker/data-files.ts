// Names of the files in the data folder.

/** Model from in-place training. */
export const MODEL_FILE = 'model.json'
/** Bans, and allow-list entries added while running. */
export const BAN_FILE = 'bans.json'
