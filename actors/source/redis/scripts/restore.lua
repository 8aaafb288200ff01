-- Puts back what this server has lost with its data, from the memory of the daemon that has it.
--
-- KEYS: the list.   ARGV: boot, the highest number that has brought it a batch, and for a batch: the boot that took it
-- (an earlier generation, maybe), number, its head, its messages.
-- Answers 1; 2 where it has been put back before; 0 where it is there, or others were given it.

local ours = KEYS[1] .. ':simplest_script:'
local boot, former, number = ARGV[1], ARGV[3], ARGV[4]
local batches = ours .. 'batches:' .. boot
-- A full server refuses this not, and then not the additions either.
redis.call('HDEL', batches, 'none')

local function raise_last(to)
  if tonumber(redis.call('HGET', batches, 'last') or 0) < tonumber(to) then redis.call('HSET', batches, 'last', to) end
end

raise_last(ARGV[2])
if not former then return 1 end
local batch = ours .. 'batch:' .. boot .. ':' .. number
if former ~= boot then
  if redis.call('EXISTS', batch) == 1 then return 2 end
  if redis.call('EXISTS', ours .. 'batch:' .. former .. ':' .. number) == 1 then return 0 end
  if tonumber(number) <= tonumber(redis.call('HGET', ours .. 'batches:' .. former, 'last') or 0) then return 0 end
elseif redis.call('EXISTS', batch) == 1 then
  return 0
end
redis.call('HSET', batches, number, 1)
raise_last(number)
for i = 5, #ARGV do redis.call('RPUSH', batch, ARGV[i]) end
return 1
