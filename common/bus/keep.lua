-- Keeps a client's session again, unless another gateway has taken the client over meanwhile.
--
-- KEYS: session
-- ARGV: the gateway's id, the session (its first word is the gateway's id), milliseconds to keep it
-- Returns 1, or 0 where another gateway has it.

local known = redis.call('GET', KEYS[1])
if known and string.match(known, '^%S+') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
