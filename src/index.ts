// What a plug-in user imports.

export { FEATURES } from './features/schema.js'
