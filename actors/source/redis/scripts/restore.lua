-- Puts a batch back that this server has lost with its data, from the memory of the daemon that has it.
--
-- KEYS: the list.   ARGV: boot, number, the head of the batch, the messages.
-- Answers 1; 0 where it is there.

local ours = KEYS[1] .. ':simplest_script:'
local batch = ours .. 'batch:' .. ARGV[1] .. ':' .. ARGV[2]
if redis.call('EXISTS', batch) == 1 then return 0 end
redis.call('DEL', batch)
redis.call('HSET', ours .. 'batches:' .. ARGV[1], ARGV[2], 1)
for i = 3, #ARGV do redis.call('RPUSH', batch, ARGV[i]) end
return 1
