// The names of a household, drawn from a seed: no two seeds have the same rooms, topics and habits.

import { Chance, seedFor } from './chance.js'
import type { Party } from './plan.js'

const ROOMS = [
  'kitchen',
  'bath',
  'cellar',
  'attic',
  'hall',
  'office',
  'garage',
  'garden',
  'bedroom',
  'livingroom',
  'pantry',
  'laundry',
  'workshop',
  'porch',
  'kueche',
  'bad',
  'keller',
  'flur',
  'wohnzimmer',
  'kinderzimmer',
  'salon',
  'cuisine',
  'chambre',
  'cocina',
  'terraza',
  'studio',
  'greenhouse',
  'gym'
]
const BASES = ['home', 'house', 'haus', 'smarthome', 'casa', 'maison', 'building/1', 'site7', 'flat']
const PEOPLE = ['anna', 'ben', 'carla', 'david', 'eva', 'felix', 'grete', 'hugo', 'ines', 'jonas', 'karin', 'lukas']
const PHONES = ['pixel7', 'iphone', 'galaxy', 'fairphone', 'oneplus', 'tablet']

/** What plugs log in as, unless told otherwise. */
export const PLUG_USER = 'DVES_USER'

/** A household. */
export class Home {
  readonly base: string
  readonly rooms: string[]
  readonly zigbee: string
  readonly people: string[]
  /** Of the house: phones report from around it. */
  readonly latitude: number
  readonly longitude: number

  constructor(
    readonly seed: number,
    readonly parties: readonly Party[]
  ) {
    const chance = new Chance(seedFor(seed, 'home'))
    this.base = chance.oneOf(BASES)
    this.rooms = chance.shuffled(ROOMS).slice(0, 14)
    this.zigbee = chance.oneOf(['zigbee2mqtt', 'zigbee', 'z2m', 'zigbee2mqtt'])
    this.people = chance.shuffled(PEOPLE)
    this.latitude = chance.between(40, 60)
    this.longitude = chance.between(-5, 25)
  }

  /** Who has a password, and which: what devices log in with. */
  get users(): { user: string; password: string }[] {
    return [PLUG_USER, ...this.people].map(user => ({ user, password: this.password(user) }))
  }

  password(user: string): string {
    return new Chance(seedFor(this.seed, `password of ${user}`)).text(12)
  }

  room(index: number): string {
    const room = this.rooms[index % this.rooms.length]
    const floor = Math.floor(index / this.rooms.length)
    return floor === 0 ? room : `${room}${floor + 1}`
  }

  /** What a device calls itself in topics. */
  nameOf({ kind, index, seed }: Party): string {
    const chance = new Chance(seedFor(seed, 'name'))
    switch (kind) {
      case 'tasmota':
        return chance.oneOf([`plug_${this.room(index)}`, `tasmota_${chance.hex(6).toUpperCase()}`])
      case 'esphome':
        return `${this.room(index + 3)}-${chance.oneOf(['node', 'air', 'climate', 'esp'])}`
      case 'owntracks':
        return `${this.people[index % this.people.length]}/${PHONES[(index + seed) % PHONES.length]}`
      case 'switch':
        return `${this.room(index + 5)}/${chance.oneOf(['light', 'lamp', 'fan', 'heater', 'pump'])}${index % 3 === 0 ? '' : String(index)}`
      case 'camera':
        return `${chance.oneOf(['front', 'back', 'drive', 'gate', 'yard'])}_${index}`
      default:
        return `${this.room(index)}${chance.happens(0.5) ? '' : `-${chance.hex(2)}`}`
    }
  }

  /** The names of all devices of a kind that are there from the start. */
  namesOf(kind: string): string[] {
    return this.parties.filter(party => party.kind === kind && party.role === 'device').map(party => this.nameOf(party))
  }
}
