-- A gateway's message to itself. Runs on Redis 5 and later, Valkey.
--
-- KEYS: clock
-- ARGV: the gateway's own channel, what it wants to hear
-- Publishes `0 0 probe -` and, behind the line, that text, Redis' TIME in microseconds and the last id
-- of the partition. It takes no id and writes nothing: a primary that no longer is one must not have
-- its clock run ahead of the events of the one that took its place.

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local text = ARGV[2] .. ' ' .. now .. ' ' .. (redis.call('GET', KEYS[1]) or '0')
return redis.call('PUBLISH', ARGV[1], '0 0 probe -\n' .. text)
