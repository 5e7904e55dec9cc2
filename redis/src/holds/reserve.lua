-- Reserves all seats for a booking, or none.
-- KEYS: the seats. ARGV: the booking, milliseconds.
-- Answers the seats that are somebody else's: {place in KEYS, value}, none where all are reserved now.
local values = redis.call('MGET', unpack(KEYS))
local others = {}
for i, value in ipairs(values) do
  if value and string.sub(value, 2) ~= ARGV[1] then
    others[#others + 1] = {i, value}
  end
end
if #others > 0 then
  return others
end
local reserved = 'r' .. ARGV[1]
for i, key in ipairs(KEYS) do
  -- What the booking holds already stays held.
  if not values[i] or values[i] == reserved then
    redis.call('SET', key, reserved, 'PX', ARGV[2])
  end
end
return others
