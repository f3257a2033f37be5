-- Puts a record in the place of the one that was seen, and answers 1; or changes nothing, and answers 0.
-- KEYS[1]: the record. ARGV[1]: the revision that was seen, or nothing for no record. ARGV[2]: how many
-- fields it does not have; these; then the names and values of those that it has.
-- HSET is the first to write: for lack of memory Redis refuses that, and nothing after it.
if ARGV[1] == '' then
  if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
elseif redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
  return 0
end
local absent = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 3 + absent))
if absent > 0 then
  redis.call('HDEL', KEYS[1], unpack(ARGV, 3, 2 + absent))
end
return 1
