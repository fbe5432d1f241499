-- SPDX-License-Identifier: MIT
-- The sandbox's clock (R012): Asia/Shanghai, whatever the machine's zone; it can be set, moved and accelerated. Times are seconds since
-- 1970-01-01 00:00:00 in Shanghai ("local seconds"), with fractions; China has had no daylight saving time since 1991, so the zone is a
-- fixed offset of eight hours.

local M = {}

local OFFSET = 8 * 3600
local DAY = 86400

local methods = {}
local mt = { __index = methods, __name = "sandbox.clock" }

-- Days since 1970-01-01 of a date in the Gregorian calendar; works on whole numbers only.
local function days_of(year, month, day)
  local y = month <= 2 and year - 1 or year
  local era = math.floor(y / 400)
  local of_era = y - era * 400
  local shifted = (month + 9) % 12
  local of_year = math.floor((153 * shifted + 2) / 5) + day - 1
  local days = of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100) + of_year
  return era * 146097 + days - 719468
end

local function date_of(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local of_era = z - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local shifted = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, day
end

---Reads `yyyy-MM-dd HH:mm:ss`, real dates only.
---@param text any
---@return number? local_seconds
function M.parse(text)
  if type(text) ~= "string" then
    return nil
  end
  local day, hour, minute, second = text:match("^(%d%d%d%d%-%d%d%-%d%d) (%d%d):(%d%d):(%d%d)$")
  if not day then
    return nil
  end
  local date = M.parse_date(day)
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  if not date or hour > 23 or minute > 59 or second > 59 then
    return nil
  end
  return date + hour * 3600 + minute * 60 + second
end

---Reads `yyyy-MM-dd` as the first second of that day.
---@param text any
---@return number? local_seconds
function M.parse_date(text)
  local year, month, day = tostring(text):match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not year then
    return nil
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if month < 1 or month > 12 or day < 1 then
    return nil
  end
  local days = days_of(year, month, day)
  local _, again = date_of(days)
  if again ~= month then
    return nil
  end
  return days * DAY
end

---`yyyy-MM-dd HH:mm:ss` of local seconds.
---@param at number
---@return string
function M.format(at)
  local whole = math.floor(at)
  local second = whole % DAY
  return string.format("%s %02d:%02d:%02d", M.format_date(whole), math.floor(second / 3600),
    math.floor(second / 60) % 60, second % 60)
end

---`yyyy-MM-dd` of local seconds.
function M.format_date(at)
  return string.format("%04d-%02d-%02d", date_of(math.floor(at / DAY)))
end

local WEEKDAYS = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" }
local MONTHS = {
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
}

---The HTTP date (GMT) of an instant given in epoch milliseconds, cut to the second.
function M.http_date(epoch_ms)
  local seconds = math.floor(epoch_ms / 1000)
  local days = math.floor(seconds / DAY)
  local year, month, day = date_of(days)
  local rest = seconds % DAY
  return string.format("%s, %02d %s %04d %02d:%02d:%02d GMT", WEEKDAYS[days % 7 + 1], day,
    MONTHS[month], year, math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60)
end

---Seconds since midnight.
function M.time_of_day(at)
  return math.floor(at) % DAY
end

---Epoch milliseconds of local seconds.
function M.epoch_ms(at)
  return math.floor((at - OFFSET) * 1000)
end

---A clock that starts at `options.at` (text, default the real time) and runs `options.rate` times as fast.
---@param options { at?: string, rate?: number, now: fun(): number }
---@return table? clock
---@return string? why
function M.new(options)
  local self = setmetatable({ real = options.now, rate = 1 }, mt)
  self.base_real = self.real()
  self.base = self.base_real + OFFSET
  local ok, why = self:change{ at = options.at, rate = options.rate }
  if not ok then
    return nil, why
  end
  return self
end

---Local seconds now. `obeyed` is set by the app: without R012 the machine's time in UTC counts.
function methods:now()
  if self.obeyed and not self.obeyed() then
    return self.real()
  end
  return self.base + (self.real() - self.base_real) * self.rate
end

---Whether it shows the real time and runs like it.
function methods:is_real()
  return self.rate == 1 and math.abs(self.base - OFFSET - self.base_real) < 1 and (not self.obeyed or self.obeyed())
end

---`yyyy-MM-dd HH:mm:ss` now.
function methods:text()
  return M.format(self:now())
end

---Sets, moves or speeds up the clock. It is not turned back unless `at` says so.
---@param change { at?: string, advance?: number, rate?: number }
---@return true? ok
---@return string? why
function methods:change(change)
  local now = self:now()
  if change.at ~= nil then
    now = M.parse(change.at)
    if not now then
      return nil, "clock: expected yyyy-MM-dd HH:mm:ss"
    end
  end
  if change.advance ~= nil then
    if type(change.advance) ~= "number" then
      return nil, "advance: expected seconds"
    end
    now = now + change.advance
  end
  local rate = change.rate
  if rate == nil then
    rate = self.rate
  end
  if type(rate) ~= "number" or rate < 0 or rate > 1e6 then
    return nil, "rate: expected a number from 0 (stands still) to 1000000"
  end
  self.base, self.base_real, self.rate = now, self.real(), rate
  return true
end

return M
