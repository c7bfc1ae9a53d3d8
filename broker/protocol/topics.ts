// Validation and matching of topic names and topic filters, for the core.

export { isTopicFilter, levelsOf, matches } from '../../src/topics.js'
