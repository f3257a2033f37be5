-- Changes nothing, but as a write that needs memory: a server that refuses those refuses this.
-- KEYS[1]: any index.
return redis.call('ZADD', KEYS[1], 'XX', 0, '')
