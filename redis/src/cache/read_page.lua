-- Reads a page of a list, and takes its lock where it is missing or too old.
-- KEYS: the page, its lock. ARGV: how long it is fresh, how long the lock lasts (both ms).
-- Answers {'page' | 'yours' | 'theirs', its age in ms, its text or false}.
local page = redis.call('HMGET', KEYS[1], 'text', 'at')
local age = 0
if page[1] then
  local now = redis.call('TIME')
  age = math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(page[2]))
  if age <= tonumber(ARGV[1]) then
    return {'page', age, page[1]}
  end
end
local is_ours = redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2])
return {is_ours and 'yours' or 'theirs', age, page[1]}
