-- Heeds what became of bookings, in order.
-- KEYS: seats. ARGV: for each of them the booking and the milliseconds that it is held for; 0 gives it back.
for i, key in ipairs(KEYS) do
  local booking, left = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  local value = redis.call('GET', key)
  local is_own = value and string.sub(value, 2) == booking
  if left == 0 then
    if is_own then
      redis.call('DEL', key)
    end
  else
    -- The log has it: whoever else has reserved it meanwhile will lose.
    redis.call('SET', key, 'h' .. booking, 'PX', left)
  end
end
