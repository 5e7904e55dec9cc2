-- Moves the chain of copies by one batch.
-- KEYS: the chain, then the copies of the shows that the batch has changed.
-- ARGV: the chain's position before and after the batch, an epoch in case that one begins, how long copies are kept (ms), the
-- channel of signals and the text to say; then for each show: the number of fields, name and value of each, the number of
-- seats, place (from 0, rising) and status of each.
-- Answers 0: the chain is further already. 1: moved. 2: a new epoch begins.
local from, to, now = tonumber(ARGV[1]), tonumber(ARGV[2]), redis.call('TIME')
local beat = now[1] * 1000 + math.floor(now[2] / 1000)
local chain = redis.call('HMGET', KEYS[1], 'epoch', 'position')
local epoch, position = chain[1], tonumber(chain[2] or -1)

redis.call('PUBLISH', ARGV[5], ARGV[6])
if epoch and position >= to then
  return 0
end
if not epoch or position < from then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'position', ARGV[2], 'beat', string.format('%.0f', beat))
  return 2
end
redis.call('HSET', KEYS[1], 'position', ARGV[2], 'beat', string.format('%.0f', beat))

local at = 7
for i = 2, #KEYS do
  local key, fields = KEYS[i], {}
  for _ = 1, tonumber(ARGV[at]) do
    fields[#fields + 1] = ARGV[at + 1]
    fields[#fields + 1] = ARGV[at + 2]
    at = at + 2
  end
  at = at + 1
  local seats = tonumber(ARGV[at])
  local first = at + 1
  at = first + 2 * seats

  local copy = redis.call('HMGET', key, 'epoch', 'show', 'statuses', 'read_position')
  if copy[1] == epoch and not copy[2] then
    -- Somebody is reading the rows: he may have read them before this.
    redis.call('HSET', key, 'touched', ARGV[2])
  elseif copy[1] == epoch and tonumber(copy[4]) < to then
    -- What was read later than this batch has it already.
    local statuses, parts, done, fits = copy[3], {}, 0, true
    for seat = first, at - 1, 2 do
      local place = tonumber(ARGV[seat])
      fits = fits and place < #statuses
      parts[#parts + 1] = string.sub(statuses, done + 1, place)
      parts[#parts + 1] = ARGV[seat + 1]
      done = place + 1
    end
    if fits then
      if seats > 0 then
        parts[#parts + 1] = string.sub(statuses, done + 1)
        fields[#fields + 1] = 'statuses'
        fields[#fields + 1] = table.concat(parts)
      end
      redis.call('HSET', key, unpack(fields))
      redis.call('PEXPIRE', key, ARGV[4])
    else
      redis.call('DEL', key)
    end
  end
end
return 1
