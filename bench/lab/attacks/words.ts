// Words that guessing attackers try.

/** User names. */
export const USERS: readonly string[] = ['admin', 'root', 'mqtt', 'user', 'test', 'guest', 'homeassistant', 'hass', 'pi', 'iot', 'device', 'mosquitto', 'sensor', 'operator', 'support', 'ubnt']

/** Passwords. */
export const PASSWORDS: readonly string[] = [
  '123456', 'password', '12345678', 'admin', 'qwerty', 'letmein', 'mqtt', 'root', 'toor', 'raspberry', 'iloveyou', 'secret', 'welcome', 'monkey', 'dragon', 'changeme', 'default', 'homeassistant', 'hunter2', 'master', 'football', 'abc123', 'passw0rd', 'superman', 'trustno1', 'public', 'private', 'iot2020', 'sunshine', 'princess', '111111', '000000', '654321', 'pass', 'test', 'guest', 'system', 'mosquitto', 'smarthome', 'zigbee'
]

/** Parts of topics. */
export const TOPIC_WORDS: readonly string[] = [
  'home', 'house', 'sensor', 'sensors', 'device', 'devices', 'iot', 'status', 'state', 'cmd', 'cmnd', 'stat', 'tele', 'set', 'get', 'config', 'light', 'lights', 'lamp', 'door', 'lock', 'alarm', 'camera', 'garage', 'temperature', 'temp', 'humidity', 'power', 'energy', 'gps', 'location', 'owntracks', 'zigbee2mqtt', 'homeassistant', 'tasmota', 'shelly', 'shellies', 'esp', 'esp32', 'factory', 'plc', 'scada', 'test', 'debug', 'log', 'admin', 'user', 'users', 'password', 'secret', 'key', 'firmware', 'ota', 'update', 'backup', 'data', 'raw', 'json', 'alert', 'event', 'events', 'building', 'floor1', 'room1'
]

/** What brokers tell about themselves. */
export const SYS_TOPICS: readonly string[] = [
  '$SYS/#', '$SYS/broker/version', '$SYS/broker/uptime', '$SYS/broker/clients/total', '$SYS/broker/clients/connected', '$SYS/broker/messages/received', '$SYS/broker/load/#', '$SYS/broker/subscriptions/count', '$SYS/brokers', '$SYS/brokers/+/clients/#', '$SYS/broker/log/#', '$SYS/+/new/clients', '$share/x/#', '$CONTROL/#', '$dynsec/#', '$queue/#', '#', '+/#', '+/+/#', '/#'
]
