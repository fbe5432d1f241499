-- SPDX-License-Identifier: MIT
-- Walks over the rows of all pages by the platform's data (`pages`). One page is in memory at a time; a walk can be gone on with in
-- another process; a failure, or a platform that gives the same page again, ends the walk loudly. Repeats are the call's own task.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local normalise = require "campaign.api.normalise"
local position = require "campaign.api.position"

local M = {}

local MAX_PAGES = 1000000

---@class campaign.pages
---@overload fun(): any, campaign.error?
local methods = {}
local mt = { __index = methods, __name = "campaign.pages" }

local function first_of(reply, paths)
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    local value = normalise.at(reply, path)
    if value ~= nil then
      return value
    end
  end
  return nil
end

local function copy(values)
  local new = {}
  for key, value in pairs(values or {}) do
    new[key] = value
  end
  return new
end

local function fail(self, fields)
  self._failed = true
  fields.platform, fields.operation = self._operation.platform, self._operation.name
  fields.sent, fields.retry = fields.sent or "yes", false
  return nil, error_object.new(fields)
end

local function paged_operation(client, name)
  local operation = client.platform.operations[name]
  if not operation or not operation.pages then
    error("operation `" .. tostring(name) .. "` of platform `" .. client.platform.name .. "` has no pages", 3)
  end
  return operation
end

-- A page that came before shows that the page number is ignored, or that pages go round in a circle. The page to compare with is moved
-- on at every power of two, so that a circle of any length is found with one mark in memory.
local function came_before(self, rows)
  local mark = core.digest.sha256(json.encode(rows) or "")
  if self._mark == mark then
    return true
  end
  self._compared = self._compared + 1
  if self._compared >= self._move_at then
    self._mark, self._move_at = mark, self._move_at * 2
  end
  return false
end

-- Fetches the next page that has rows to give; false at the end.
local function fetch(self)
  local rules = self._operation.pages
  self._rows, self._given = {}, 0
  if self._fetched >= MAX_PAGES then
    return fail(self, { kind = "response", reason = "endless_pages", message = "there is no end after " .. MAX_PAGES .. " pages" })
  end
  if rules.page then
    self._asked[rules.page], self._asked[rules.size] = self._page, self._size
  end
  local reply, err = self._client:call(self._operation.name, self._asked, self._options)
  if not reply then
    self._failed = true
    return nil, err
  end
  local rows = first_of(reply, rules.list) or {}
  if #rows > 0 and rules.page and came_before(self, rows) then
    return fail(self, {
      kind = "response", reason = "repeated_page", message = "page " .. self._page .. " holds the same rows as an earlier page",
      hint = "the platform ignores the page number, or the list goes round",
    })
  end
  self._rows, self._fetched = rows, self._fetched + 1
  self._before = self._seen
  self._seen = self._seen + #rows
  self._page = self._page + 1
  local total = tonumber(first_of(reply, rules.total or {}))
  -- More rows than the total, and a full page: the total is wrong, and an empty page is the end.
  local is_full = #rows >= self._size
  self._last = not rules.page or #rows == 0 or total == self._seen or total ~= nil and total < self._seen and not is_full
  return true
end

---The next row; nil at the end; `false, err` once when a page could not be had.
---@return any row
---@return campaign.error? err
function methods:next()
  while self._given >= #self._rows do
    if self._ended or self._last or self._failed then
      self._ended = not self._failed
      return nil
    elseif self._problem then
      self._failed = true
      return false, self._problem
    end
    local resumed = self._skip
    local well, err = fetch(self)
    if not well then
      return false, err
    end
    self._given, self._skip = math.min(resumed, #self._rows), 0
  end
  self._given = self._given + 1
  return self._rows[self._given]
end

---Where the walk stands, as a text: `client:each(name, fields, { token = text })` goes on after the last row that was given, also in
---another process, and after a failure.
---@return string
function methods:token()
  local inside = self._given > 0
  return position.write("pages", self._operation.name, self._fields, {
    page = inside and self._page - 1 or self._page, size = self._size, seen = inside and self._before or self._seen,
    skip = inside and self._given or self._skip, ended = self._ended or self._last and self._given >= #self._rows or false,
  })
end

mt.__call = methods.next

---Walks over the rows of all pages: `for row, err in client:each("list_...", fields) do`. A failure is given once, as `false, err`, and
---ends the walk.
---@param name string operation
---@param fields table?
---@param options table? those of a call, and `token` of an earlier walk
---@return campaign.pages
function M.each(client, name, fields, options)
  local operation = paged_operation(client, name)
  local rules = operation.pages
  options = copy(options)
  local token = options.token
  options.token = nil
  local self = setmetatable({
    _client = client, _operation = operation, _options = options, _fields = copy(fields), _asked = copy(fields),
    _rows = {}, _given = 0, _seen = 0, _before = 0, _skip = 0, _fetched = 0, _compared = 0, _move_at = 1,
    _ended = false, _last = false, _failed = false,
  }, mt)
  if rules.page then
    self._size = self._asked[rules.size] or rules.default_size
    self._page = self._asked[rules.page] or rules.first or 0
    if type(self._page) == "number" and type(self._size) == "number" then
      self._seen = (self._page - (rules.first or 0)) * self._size
    end
  else
    self._size, self._page = 0, 0
  end
  if token ~= nil then
    local stood, err = position.read(token, "pages", name, self._fields,
      { page = "number", size = "number", seen = "number", skip = "number", ended = "boolean" })
    if not stood then
      self._problem = error_object.wrap(err, { platform = operation.platform, operation = name })
      return self
    end
    self._page, self._size, self._seen, self._skip, self._ended = stood.page, stood.size, stood.seen, stood.skip, stood.ended
  end
  return self
end

---The rows of all pages in one list.
---@param name string operation
---@param fields table?
---@param options table?
---@return table[]? rows
---@return campaign.error? err
function M.all(client, name, fields, options)
  paged_operation(client, name)
  local rows = {}
  for row, err in M.each(client, name, fields, options) do
    if not row then
      return nil, err
    end
    rows[#rows + 1] = row
  end
  return rows
end

return M
