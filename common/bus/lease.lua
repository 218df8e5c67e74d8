-- Says how many clients of one user a gateway has, or wants to have. It names the number, and not a change, so that it
-- may be carried out twice.
--
-- KEYS: the user's clients by gateway
-- ARGV: the gateway's id, its number, the most that all gateways together may have (0: any number), what the keys of
--       gateways' entries begin with, milliseconds that the entry of a gateway has left while it is heard of regularly,
--       seconds to keep all this
-- Returns 1, or where that would be too many: 0, or -1 when a gateway that was counted has not been heard of lately.

local id, count, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

if most > 0 then
  local others, overdue = 0, false
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    if fields[i] ~= id then
      local left = redis.call('PTTL', ARGV[4] .. fields[i])
      if left == -2 then
        redis.call('HDEL', KEYS[1], fields[i])
      else
        others = others + (tonumber(fields[i + 1]) or 0)
        overdue = overdue or left < tonumber(ARGV[5])
      end
    end
  end
  if others + count > most then
    return overdue and -1 or 0
  end
end

if count > 0 then
  redis.call('HSET', KEYS[1], id, count)
  redis.call('EXPIRE', KEYS[1], ARGV[6])
else
  redis.call('HDEL', KEYS[1], id)
end
return 1
