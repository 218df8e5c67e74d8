-- What a room's log holds past an id. Runs on Redis 5 and later, Valkey.
--
-- KEYS: clock, [the room's log]
-- ARGV: id to read past, how many of the newest (0: all), bytes that the entries may have together
-- Returns {last id of the partition, TIME in microseconds, id of the log's newest entry, entry...}:
--         ids as strings of digits, "0" for none; entries as they were published, oldest first.
--         Of more than the bytes allow, the oldest are given (the newest where their number was
--         given), and always one.

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local reply = {redis.call('GET', KEYS[1]) or '0', now, '0'}

local function id_of(entry)
  return tonumber(string.match(entry, '^%d+') or 0)
end

-- What somebody else wrote at the end hides nothing.
local from_end = -1
local newest = KEYS[2] and redis.call('LINDEX', KEYS[2], from_end)
while newest and id_of(newest) == 0 do
  from_end = from_end - 1
  newest = redis.call('LINDEX', KEYS[2], from_end)
end
if not newest then
  return reply
end

local since, most, budget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
reply[3] = string.match(newest, '^%d+')
if id_of(newest) <= since then
  return reply
end

-- From the end, in growing steps: mostly little is missing.
local reach = (most > 0 and most or 16) - from_end - 1
local entries = redis.call('LRANGE', KEYS[2], -reach, -1)
local function reaches_back()
  local id = id_of(entries[1])
  return #entries < reach or (id > 0 and id <= since)
end
while most == 0 and not reaches_back() do
  reach = reach * 4
  entries = redis.call('LRANGE', KEYS[2], -reach, -1)
end

local first, last = 1, #entries
while id_of(entries[first]) <= since do
  first = first + 1
end
local bytes, i, step = 0, first, 1
if most > 0 then
  i, step = last, -1
end
while i >= first and i <= last do
  bytes = bytes + #entries[i]
  if bytes > budget and bytes > #entries[i] then
    if most > 0 then
      first = i + 1
    else
      last = i - 1
    end
    break
  end
  i = i + step
end

for j = first, last do
  reply[#reply + 1] = entries[j]
end
return reply
