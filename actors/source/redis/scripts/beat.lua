-- A heartbeat, by this server's clock.
--
-- KEYS: the list.   ARGV: boot, milliseconds it counts for, 'first' or 'again'.
-- Answers {'alive', now, the last number it used, numbers of its batches…}, {'dead', now}: others judged it, or
-- {'lost', now}: the boot is unknown here, so this server has lost its data.

local ours = KEYS[1] .. ':simplest_script:'
local boot = ARGV[1]
local boots, judged = ours .. 'boots', ours .. 'graves'
-- A boot that was judged dead is remembered for a week.
local KEPT = 7 * 24 * 3600 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
local score = redis.call('ZSCORE', boots, boot)
if score and tonumber(score) < 0 or not score and redis.call('ZSCORE', judged, boot) then
  return {'dead', now_text}
end
if not score and ARGV[3] == 'again' then return {'lost', now_text} end

-- The removal first: a full server refuses it not, and then not the addition either.
redis.call('ZREM', boots, boot)
redis.call('ZADD', boots, string.format('%.0f', now + ARGV[2]), boot)
redis.call('ZREMRANGEBYSCORE', judged, '-inf', string.format('%.0f', now - KEPT))
-- Waits for messages name it as the place to move them to, and as it is no list nothing moves. Where this server had lost
-- it a message has moved: back to its place, the oldest last.
local wake = ours .. 'wake'
if redis.call('TYPE', wake).ok == 'list' then
  while redis.call('LMOVE', wake, KEYS[1], 'LEFT', 'RIGHT') do end
end
redis.call('SET', wake, '')
local batches = ours .. 'batches:' .. boot
local answer = {'alive', now_text, redis.call('HGET', batches, 'last') or '0'}
for _, field in ipairs(redis.call('HKEYS', batches)) do
  if field ~= 'last' then answer[#answer + 1] = field end
end
return answer
