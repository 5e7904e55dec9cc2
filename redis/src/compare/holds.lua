-- Some holds. ARGV: the cursor, the pattern of their keys. Answers {the next cursor, {{key, value}, ...}}.
local found, rows = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000), {}
for _, key in ipairs(found[2]) do
  if redis.call('TYPE', key)['ok'] == 'string' then
    rows[#rows + 1] = {key, redis.call('GET', key)}
  end
end
return {found[1], rows}
