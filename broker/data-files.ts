// Names of the files in the data folder.

/** The model that was learnt in place. */
export const MODEL_FILE = 'model.json'
/** Bans, and what was allowed while running. */
export const BAN_FILE = 'bans.json'
