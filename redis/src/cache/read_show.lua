-- Reads a show's copy, or gives a ticket to make one.
-- KEYS: the chain, the copy. ARGV: a new ticket, how long it is good for (ms), 1 with seats.
-- Answers {'copy', position, ms since the projector was heard of, fields}, {ticket, 0, 0, {}}, or {'', 0, 0, {}} where there is
-- no chain.
local chain = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'beat')
local epoch, position, beat = chain[1], tonumber(chain[2] or -1), tonumber(chain[3] or 0)
if not epoch then
  return {'', 0, 0, {}}
end
local head = redis.call('HMGET', KEYS[2], 'epoch', 'filling', 'show', 'read_position')
if head[1] ~= epoch or (not head[2] and not head[3]) then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'epoch', epoch, 'filling', ARGV[1], 'since', chain[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  return {ARGV[1], 0, 0, {}}
end
if not head[3] then
  return {head[2], 0, 0, {}}
end
local now = redis.call('TIME')
local silence = math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - beat)
local names = {'show', 'published_at', 'own_position', 'seat_version', 'taken', 'counters', 'sales_position'}
if ARGV[3] == '1' then
  names[#names + 1] = 'statuses'
end
local values, fields = redis.call('HMGET', KEYS[2], unpack(names)), {}
for i, name in ipairs(names) do
  if values[i] then
    fields[#fields + 1] = name
    fields[#fields + 1] = values[i]
  end
end
-- It may have been read from rows that were ahead of the chain.
return {'copy', math.max(position, tonumber(head[4])), silence, fields}
