-- Returns the server's time (seconds, microseconds), and fields of records.
-- KEYS: the records. ARGV: the names of the fields.
local time = redis.call('TIME')
local rows = {}
for i, key in ipairs(KEYS) do
  rows[i] = redis.call('HMGET', key, unpack(ARGV))
end
return {time[1], time[2], rows}
