-- Before each script. A replica may have old data, and loses what is written to it.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY not a primary')
end
