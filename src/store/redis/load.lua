-- Answers whether this is the primary (1 or 0), its clock, and a record's fields.
-- KEYS[1]: the record.
local fields = redis.call('HGETALL', KEYS[1])
local is_primary = string.find(redis.call('INFO', 'replication'), 'role:master', 1, true)
local time = redis.call('TIME')
return {is_primary and 1 or 0, time[1], time[2], fields}
