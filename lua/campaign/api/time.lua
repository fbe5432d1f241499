-- SPDX-License-Identifier: MIT
-- Calendar arithmetic in a fixed zone: converts instants (seconds since 1970 UTC) to and from the formats that platforms use, and
-- computes closed windows. Independent of the machine's zone and C library.

local M = {}

local DAY = 86400

local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

local function days_in_month(year, month)
  return month == 2 and is_leap(year) and 29 or MONTH_DAYS[month]
end

-- Days from 1970-01-01 to a date (Gregorian); years from March so that the leap day comes last.
local function days_from_date(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = math.floor((153 * (month - 3) + 2) / 5) + day - 1
  local day_of_era = year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year
  return era * 146097 + day_of_era - 719468
end

local function date_from_days(days)
  days = days + 719468
  local era = math.floor(days / 146097)
  local day_of_era = days - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local shifted = math.floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - math.floor((153 * shifted + 2) / 5) + 1
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day
end

---Days since 1970-01-01 of a text `yyyy-MM-dd`, or nil when it is not a real date in exactly this form.
---@param text string
---@return integer?
function M.parse_date(text)
  local year, month, day = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not year then
    return nil
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if year < 1 or month < 1 or month > 12 or day < 1 or day > days_in_month(year, month) then
    return nil
  end
  return days_from_date(year, month, day)
end

---Seconds of the day of a text `HH:mm:ss` or `HH:mm`, or nil.
---@param text string
---@return integer?
function M.parse_clock(text)
  local hour, minute, second = text:match("^(%d%d):(%d%d):(%d%d)$")
  if not hour then
    hour, minute = text:match("^(%d%d):(%d%d)$")
    second = "00"
  end
  if not hour or tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 59 then
    return nil
  end
  return tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second)
end

---Local seconds (since 1970-01-01 00:00:00 in the same zone) of `yyyy-MM-dd HH:mm:ss`, or nil when it is no real time in exactly
---this form. Good for comparing; subtract the zone's offset for an instant.
---@param text string
---@return integer?
function M.parse_datetime(text)
  if #text ~= 19 or text:sub(11, 11) ~= " " then
    return nil
  end
  local days, seconds = M.parse_date(text:sub(1, 10)), M.parse_clock(text:sub(12))
  return days and seconds and days * DAY + seconds or nil
end

---`yyyy-MM-dd HH:mm:ss` of an instant in a zone.
---@param instant number seconds since 1970 UTC
---@param zone_seconds integer
---@return string
function M.format_datetime(instant, zone_seconds)
  local seconds = math.floor(instant) + zone_seconds
  local days = math.floor(seconds / DAY)
  local year, month, day = date_from_days(days)
  seconds = seconds - days * DAY
  return ("%04d-%02d-%02d %02d:%02d:%02d"):format(year, month, day, math.floor(seconds / 3600),
    math.floor(seconds / 60) % 60, seconds % 60)
end

---`yyyy-MM-dd` of an instant in a zone.
---@param instant number
---@param zone_seconds integer
---@return string
function M.format_date(instant, zone_seconds)
  return M.format_datetime(instant, zone_seconds):sub(1, 10)
end

-- From here on a number is milliseconds since 1970, not seconds (of the year 5138).
local MILLISECONDS = 1e11

---The instant of a platform's number without a unit.
---@param value any
---@return number? instant seconds since 1970; nil when the value is no number
function M.instant(value)
  local number = tonumber(value)
  return number and (number >= MILLISECONDS and number / 1000 or number)
end

---Whether an instant can be written with a year of four digits.
---@param instant number
---@return boolean
function M.is_instant(instant)
  return instant == instant and instant >= -62135596800 + DAY and instant < 253402300800 - DAY
end

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

---The instant of an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`), or nil.
---@param text string
---@return integer?
function M.parse_http_date(text)
  local day, name, year, clock = text:match("^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT$")
  local month, seconds = MONTHS[name], clock and M.parse_clock(clock)
  if not month or not seconds or tonumber(day) < 1 or tonumber(day) > days_in_month(tonumber(year), month) then
    return nil
  end
  return days_from_date(tonumber(year), month, tonumber(day)) * DAY + seconds
end

---Where an instant falls inside a closed window: the instant at which it opens again; nil when it is outside. The end is not
---included; a window may run over midnight.
---@param window { from_seconds: integer, to_seconds: integer }
---@param instant number
---@param zone_seconds integer
---@return number?
function M.window_end(window, instant, zone_seconds)
  local seconds = math.floor(instant) + zone_seconds
  local midnight = math.floor(seconds / DAY) * DAY
  local of_day = seconds - midnight
  local from, to = window.from_seconds, window.to_seconds
  if from <= to then
    if of_day >= from and of_day < to then
      return midnight + to - zone_seconds
    end
    return nil
  end
  if of_day >= from then
    return midnight + DAY + to - zone_seconds
  end
  if of_day < to then
    return midnight + to - zone_seconds
  end
  return nil
end

return M
