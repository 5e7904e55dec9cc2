-- Keeps a show's copy that was read for a ticket, unless the show has changed since.
-- KEYS: the chain, the copy. ARGV: the ticket, the position up to which what was read is complete, how long it is kept (ms),
-- then name and value of each field.
-- Answers 1: kept. 0: not.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local copy = redis.call('HMGET', KEYS[2], 'epoch', 'filling', 'since', 'touched')
local position = tonumber(ARGV[2])
if not epoch or copy[1] ~= epoch or copy[2] ~= ARGV[1] then
  return 0
end
if position < tonumber(copy[3]) or (copy[4] and position < tonumber(copy[4])) then
  -- The next reader gets a ticket of his own.
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('HDEL', KEYS[2], 'filling', 'since', 'touched')
local fields = {'read_position', ARGV[2]}
for i = 4, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('HSET', KEYS[2], unpack(fields))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
