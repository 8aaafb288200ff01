-- Notes that the handler of a message ended its process; once for each boot.
--
-- KEYS: the list.   ARGV: the message's id, the dead boot, 1 or 0 attempts, milliseconds until it may run, how it ended.
-- Answers 1; 0 where that was known.

local death = KEYS[1] .. ':simplest_script:death:' .. ARGV[1]
-- A record that is not read in a month is forgotten: no message waits that long for its next attempt.
local KEPT = 30 * 24 * 3600 * 1000

if redis.call('HEXISTS', death, ARGV[2]) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', death, 'none')
redis.call('HSET', death, ARGV[2], ARGV[3], 'until', string.format('%.0f', now + ARGV[4]), 'how', ARGV[5])
redis.call('PEXPIRE', death, string.format('%.0f', KEPT + ARGV[4]))
return 1
