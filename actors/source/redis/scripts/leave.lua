-- This boot ends, and has nothing left. KEYS: the list.   ARGV: boot.
-- Answers 1; 0 where it still has batches, which then are released as those of a dead boot.

local ours = KEYS[1] .. ':simplest_script:'
local batches = ours .. 'batches:' .. ARGV[1]
for _, field in ipairs(redis.call('HKEYS', batches)) do
  if field ~= 'last' then return 0 end
end
redis.call('ZREM', ours .. 'boots', ARGV[1])
redis.call('DEL', batches)
-- No heartbeat brings back what moves there.
local wake = ours .. 'wake'
if redis.call('EXISTS', ours .. 'boots') == 0 and redis.call('TYPE', wake).ok == 'string' then redis.call('DEL', wake) end
return 1
