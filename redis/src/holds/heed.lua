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
  elseif is_own or not value or string.sub(value, 1, 1) == 'h' then
    -- Another's hold is over, or this one could not have been appended.
    redis.call('SET', key, 'h' .. booking, 'PX', left)
  end
end
