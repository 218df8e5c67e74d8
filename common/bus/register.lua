-- Writes a gateway's entry into the registry.
--
-- KEYS: the gateway's entry, the set of all gateways
-- ARGV: its id, the entry, milliseconds to keep it, milliseconds after which a silent one is forgotten
-- Returns the time by Redis' clock, in milliseconds since 1970: the one clock that all of them are judged by.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ARGV[4]))
return now
