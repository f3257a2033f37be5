-- Removes old tombstones, and the index's entries of those that have expired. Returns how many.
-- KEYS[1]: the index. From KEYS[2]: records.
-- ARGV[1]: how old, in microseconds. From ARGV[2]: the subjects of the records.
local time = redis.call('TIME')
local limit = time[1] * 1000000 + time[2] - ARGV[1]
local removed = 0
for i = 2, #KEYS do
  local fields = redis.call('HMGET', KEYS[i], 'state', 'updated_at')
  local updated_at = tonumber(fields[2] or '')
  if fields[1] == 'disconnected' and updated_at and updated_at <= limit then
    redis.call('DEL', KEYS[i])
  end
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('ZREM', KEYS[1], ARGV[i])
    removed = removed + 1
  end
end
return removed
