-- Messages that are not finished: in the list, released, waiting for their retry, and in the batches of all boots.
-- KEYS: the list. Costs as much as there are batches.

local ours = KEYS[1] .. ':simplest_script:'
local lag = redis.call('LLEN', KEYS[1]) + redis.call('LLEN', ours .. 'back') + redis.call('ZCARD', ours .. 'retries')
for _, boot in ipairs(redis.call('ZRANGE', ours .. 'boots', 0, -1)) do
  for _, field in ipairs(redis.call('HKEYS', ours .. 'batches:' .. boot)) do
    if field ~= 'last' then
      lag = lag + math.max(0, redis.call('LLEN', ours .. 'batch:' .. boot .. ':' .. field) - 1)
    end
  end
end
return lag
