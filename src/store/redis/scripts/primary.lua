-- Before each script: only a primary counts. A replica may answer with old data, and loses what it is told.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('READONLY the server is a replica')
end
