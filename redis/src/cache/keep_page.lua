-- Keeps a page of a list, unless a newer one is there, and gives its lock back.
-- KEYS: the page, its lock. ARGV: its text, the position up to which it is complete, how long it is kept (ms).
redis.call('DEL', KEYS[2])
local position = redis.call('HGET', KEYS[1], 'position')
if position and tonumber(position) > tonumber(ARGV[2]) then
  return 0
end
local now = redis.call('TIME')
local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('HSET', KEYS[1], 'text', ARGV[1], 'position', ARGV[2], 'at', at)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
