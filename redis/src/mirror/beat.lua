-- Says that the projector lives. KEYS: the chain. ARGV: how long it is kept, in milliseconds.
if redis.call('EXISTS', KEYS[1]) == 1 then
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'beat', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
