-- Releases one batch of a dead boot, the youngest first, so that the oldest message comes to lie at the right end.
--
-- KEYS: the list.   ARGV: this boot, and the boot that is known to be dead (without what follows its first dot), or ''.
-- Answers {boot, messages released, 'more' or 'done'}, or nothing where no boot is dead.
--
-- The messages keep their names: each gets a frame, if it has none, in a list of its own that is read before the
-- producers' one. Slots of the dead boot may be read later than this, and must still find the one that ended it.

local ours = KEYS[1] .. ':simplest_script:'
local me, known_dead = ARGV[1], ARGV[2]
local boots, back = ours .. 'boots', ours .. 'back'
-- As long as a boot that was judged dead is remembered; see beat.lua.
local KEPT = 7 * 24 * 3600 * 1000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)

local dead
if known_dead ~= '' then
  for _, boot in ipairs(redis.call('ZRANGE', boots, 0, -1)) do
    if string.sub(boot, 1, #known_dead + 1) == known_dead .. '.' then dead = boot end
  end
else
  for _, boot in ipairs(redis.call('ZRANGEBYSCORE', boots, '-inf', '(' .. now_text, 'LIMIT', 0, 2)) do
    if boot ~= me then dead = boot end
  end
end
if not dead then return false end

local batches = ours .. 'batches:' .. dead
local number = -1
for _, field in ipairs(redis.call('HKEYS', batches)) do
  if field ~= 'last' then number = math.max(number, tonumber(field)) end
end
-- From here on its heartbeats are refused. The removal first: see beat.lua.
redis.call('ZREM', boots, dead)
if number < 0 then
  if known_dead == '' then
    -- Should it be alive after all, its last number separates what was never here from what others were given.
    redis.call('PEXPIRE', batches, string.format('%.0f', KEPT))
    redis.call('ZADD', ours .. 'graves', now_text, dead)
  else
    redis.call('DEL', batches)
  end
  return {dead, 0, 'done'}
end
redis.call('ZADD', boots, '-' .. now_text, dead)

local field = string.format('%.0f', number)
local batch = ours .. 'batch:' .. dead .. ':' .. field
local all = redis.call('LRANGE', batch, 0, -1)
local released = math.max(0, #all - 1)
if released > 0 then
  local kind, taken, left = string.match(table.remove(all, 1), '^(%a) (%d+) ?(.*)$')
  local places = {}
  for place in string.gmatch(left, '%d+') do places[#places + 1] = place end
  local frames = {}
  for i = #all, 1, -1 do
    local frame = all[i]
    if kind == 'm' then
      frame = dead .. '-' .. field .. '-' .. (places[i] or i) .. ' 0 ' .. taken .. '\n' .. frame
    end
    frames[#frames + 1] = frame
  end
  redis.call('RPUSH', back, unpack(frames))
end
redis.call('DEL', batch)
redis.call('HDEL', batches, field)
return {dead, released, 'more'}
