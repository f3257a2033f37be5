-- Removes a record if it is a tombstone and old. Answers whether it did (1 or 0); whether there is a
-- record now (1 or 0, or 2 if it is none that this version can judge); and that record's bot.
-- KEYS[1]: the record. ARGV[1]: how old, in microseconds.
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind == 'none' then return {0, 0, false} end
if kind ~= 'hash' then return {0, 2, false} end
local fields = redis.call('HMGET', KEYS[1], 'v', 'state', 'updated_at', 'bot_id')
if fields[1] ~= '1' then return {0, 2, false} end
local updated = tonumber(fields[3])
if fields[2] == 'disconnected' and updated then
  local time = redis.call('TIME')
  if time[1] * 1000000 + time[2] - updated >= tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[1])
    return {1, 0, false}
  end
end
return {0, 1, fields[4]}
