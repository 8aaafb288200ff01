-- Permits of a list's `rate_limit`, by this server's clock. See `store/permits.rs`, which is the same arithmetic.
--
-- KEYS: the list.   ARGV: microseconds that the permits last, microseconds that may be made up for.
-- Answers 0: they are granted; else after how many microseconds they may be asked for again.

local rate = KEYS[1] .. ':simplest_script:rate'
local lasts, catch_up = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local free = tonumber(redis.call('GET', rate) or '0')
-- Further ahead than one portion it cannot be, unless the clock was set back.
if free > now + lasts then free = now + lasts end
local from = math.max(free, now - catch_up)
if from > now then return math.ceil(from - now) end
-- The removal first: a full server refuses it not, and then not the addition either. A limit must not keep a full list full.
redis.call('DEL', rate)
redis.call('SET', rate, string.format('%.0f', from + lasts), 'PX', math.ceil(lasts / 1000) + 60000)
return 0
