-- Stores a nonce that is not there, and returns 1. Otherwise returns 0.
-- KEYS[1]: the nonce. ARGV[1]: its lifetime in milliseconds.
return redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1]) and 1 or 0
