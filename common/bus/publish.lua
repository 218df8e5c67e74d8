-- Publishes one event into the rooms of one partition, atomically. Runs on Redis 5 and later, Valkey.
--
-- KEYS: clock, [idempotency key,] the log of each room
-- ARGV: event, all rooms of the event as the header names them, payload,
--       seconds to remember the idempotency key (0: there is none),
--       then for each log: channel, length (events kept; 0: none), age (seconds kept after the last)
-- Returns {id, 1 for a duplicate, receivers}; the id as a string of digits.

local event, rooms, payload, remember = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local first_log = remember > 0 and 3 or 2

if remember > 0 then
  local known = redis.call('GET', KEYS[2])
  if known then
    -- WAIT speaks of what its connection has written, and of nothing where it has only read: so this
    -- writes too. A replica that has the new expiry has the event, which came before it.
    redis.call('EXPIRE', KEYS[2], remember)
    return {known, 1, 0}
  end
end

-- Never again and never backwards, whatever the wall clock does: also after a failover that lost the
-- last writes, because time has gone on meanwhile.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
if last >= 9007199254740991 then
  return redis.error_reply('ERR the clock key is beyond what a script can count')
end
local id = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[1], id)

-- What Redis may refuse comes before what it keeps, so that a refusal leaves nothing behind: reading
-- finds a key of another type, and publishing a user without the right to the channel.
local function arguments_of(i)
  local base = 4 + 3 * (i - first_log)
  return ARGV[base + 1], tonumber(ARGV[base + 2]), ARGV[base + 3]
end

local messages = {}
for i = first_log, #KEYS do
  local _, length = arguments_of(i)
  local entry = length > 0 and redis.call('LINDEX', KEYS[i], -1)
  local previous = entry and string.match(entry, '^%d+') or '0'
  messages[i] = id .. ' ' .. previous .. ' ' .. event .. ' ' .. rooms .. '\n' .. payload
end

local receivers = 0
for i = first_log, #KEYS do
  receivers = receivers + redis.call('PUBLISH', (arguments_of(i)), messages[i])
end

for i = first_log, #KEYS do
  local _, length, age = arguments_of(i)
  if length > 0 then
    redis.call('RPUSH', KEYS[i], messages[i])
    redis.call('LTRIM', KEYS[i], -length, -1)
    redis.call('EXPIRE', KEYS[i], age)
  end
end

if remember > 0 then
  redis.call('SET', KEYS[2], id, 'EX', remember)
end
return {id, 0, receivers}
