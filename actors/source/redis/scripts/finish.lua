-- Removes batches of which every message is finished.
--
-- KEYS: the list.   ARGV: for each batch its boot, its number, how many ids follow, and the ids of its framed messages.
-- Answers for each 1; 0 where it is not there, because others were given it; -1 where nobody knows the boot.

local ours = KEYS[1] .. ':simplest_script:'
local answers, i = {}, 1
while i <= #ARGV do
  local boot, number, ids = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if redis.call('DEL', ours .. 'batch:' .. boot .. ':' .. number) == 1 then
    redis.call('HDEL', ours .. 'batches:' .. boot, number)
    answers[#answers + 1] = 1
  else
    local known = redis.call('ZSCORE', ours .. 'boots', boot) or redis.call('ZSCORE', ours .. 'graves', boot)
    answers[#answers + 1] = known and 0 or -1
  end
  for k = 1, ids do redis.call('DEL', ours .. 'death:' .. ARGV[i + 2 + k]) end
  i = i + 3 + ids
end
return answers
