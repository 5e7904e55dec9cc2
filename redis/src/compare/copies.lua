-- Some copies of shows, each with the position up to which readers believe it.
-- KEYS: the chain. ARGV: the cursor, the pattern of the copies' keys.
-- Answers {the next cursor, the chain's position or -1, {{key, position, fields}, ...}}.
local chain = redis.call('HMGET', KEYS[1], 'epoch', 'position')
local position = tonumber(chain[2] or -1)
local found, rows = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000), {}
for _, key in ipairs(found[2]) do
  if redis.call('TYPE', key)['ok'] == 'hash' then
    local head = redis.call('HMGET', key, 'epoch', 'show', 'read_position')
    if chain[1] and head[1] == chain[1] and head[2] then
      rows[#rows + 1] = {key, math.max(position, tonumber(head[3] or -1)), redis.call('HGETALL', key)}
    end
  end
end
return {found[1], position, rows}
