-- Replaces a record if it has the revision that was seen, and returns 1. Otherwise returns 0.
-- KEYS[1]: the record. KEYS[2]: the namespace's index.
-- ARGV[1]: the seen revision; empty for no record. ARGV[2]: the subject. ARGV[3]: after how many milliseconds the
-- record expires; empty for never. From ARGV[4]: the record's fields, name and value in turn.
--
-- A script that is refused a command keeps what it did before. After each of these commands, the index lists every
-- record, and a record that must stay does not expire.
local revision = redis.call('HGET', KEYS[1], 'revision') or ''
if not string.find(revision, '^-?%d+$') then
  -- No record, or one whose revision was removed.
  revision = redis.call('EXISTS', KEYS[1]) == 1 and '0' or ''
end
if revision ~= ARGV[1] then
  return 0
end
redis.call('ZADD', KEYS[2], 0, ARGV[2])
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if ARGV[3] ~= '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
