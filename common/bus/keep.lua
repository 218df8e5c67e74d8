-- Keeps a client's session, unless another gateway has taken the client over meanwhile.
--
-- KEYS: session
-- ARGV: the gateway's id, 1 to take the session over whoever has it, the session (its first word is
--       the gateway's id), milliseconds to keep it
-- Returns 1, or 0 where another gateway has it.

local known = redis.call('GET', KEYS[1])
if ARGV[2] == '0' and known and string.match(known, '^%S+') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
