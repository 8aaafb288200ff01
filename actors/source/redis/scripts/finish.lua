-- Removes batches of which every message is finished.
--
-- KEYS: the list.   ARGV: for each batch its boot, its number, how many ids follow, and the ids of its framed messages.
-- Answers for each 1, or why it is not there: 0: others were given it; -1: this server has never had it, and has lost
-- data; -2: this boot has removed it.

local ours = KEYS[1] .. ':simplest_script:'
local answers, i = {}, 1
while i <= #ARGV do
  local boot, number, ids = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if redis.call('DEL', ours .. 'batch:' .. boot .. ':' .. number) == 1 then
    redis.call('HDEL', ours .. 'batches:' .. boot, number)
    answers[#answers + 1] = 1
  else
    local alive = tonumber(redis.call('ZSCORE', ours .. 'boots', boot) or -1) >= 0
    local last = tonumber(redis.call('HGET', ours .. 'batches:' .. boot, 'last') or 0)
    answers[#answers + 1] = tonumber(number) > last and -1 or alive and -2 or 0
  end
  for k = 1, ids do redis.call('DEL', ours .. 'death:' .. ARGV[i + 2 + k]) end
  i = i + 3 + ids
end
return answers
